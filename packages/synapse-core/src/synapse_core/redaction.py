"""Which names and texts look like secrets, so that no message shows one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["HIDDEN", "holds_secret", "looks_secret"]

HIDDEN = "***"

_SECRET_NAME = re.compile(
    r"(?:^|[^a-z])(?:token|secret|passwd|pwd|password|passphrase|credentials?|auth|authorization|cookie|dsn)(?:$|[^a-z])"
    r"|(?:api|access|private|secret|signing|encryption)[^a-z]?key",
    re.IGNORECASE,
)
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def looks_secret(name: str) -> bool:
    """Say whether a variable or field of this name is likely to hold a secret."""
    return _SECRET_NAME.search(_CAMEL_HUMP.sub("_", name)) is not None


_DEEPEST = 6


def holds_secret(value: Any, depth: int = 0) -> bool:
    """Say whether a name inside `value`, of a mapping or an object, looks like that of a secret."""
    if depth > _DEEPEST:
        return False
    if not isinstance(value, (Mapping, list, tuple)):
        value = getattr(value, "__dict__", None) or {}
    if isinstance(value, Mapping):
        return any(looks_secret(str(key)) or holds_secret(item, depth + 1) for key, item in value.items())
    return any(holds_secret(item, depth + 1) for item in value)
