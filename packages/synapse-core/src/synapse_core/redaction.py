"""Which names and texts look like secrets, so that no message shows one."""

from __future__ import annotations

import re

__all__ = ["HIDDEN", "looks_secret"]

HIDDEN = "***"

_SECRET_NAME = re.compile(
    r"(?:^|[^a-z])(?:token|secret|passwd|password|passphrase|credentials?|auth|authorization|cookie|dsn)(?:$|[^a-z])"
    r"|(?:api|access|private|secret|signing|encryption)[^a-z]?key",
    re.IGNORECASE,
)
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def looks_secret(name: str) -> bool:
    """Say whether a variable or field of this name is likely to hold a secret."""
    return _SECRET_NAME.search(_CAMEL_HUMP.sub("_", name)) is not None
