"""Everything that is wrong with a part of ``config.yaml``, gathered for one error."""

from __future__ import annotations

from typing import Any

from synapse_core.config_file import ConfigFile
from synapse_core.errors import ConfigError
from synapse_core.redaction import HIDDEN, holds_secret, looks_secret, looks_secret_value
from synapse_core.safe_text import shorten

__all__ = ["ConfigProblems"]

_MOST_LOOKED_AT = 100_000
_NOTHING = object()

Keys = tuple[str | int, ...]


class ConfigProblems:
    """Gathers problems, each with its key, its line and what stands there.

    Args:
        file: The file; what it holds is shown as it is written there, unless it looks like a secret.
    """

    def __init__(self, file: ConfigFile) -> None:
        self._file = file
        self._found: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, keys: Keys, rule: str, *, cause: str = "") -> None:
        """Note that what stands at `keys` breaks `rule`.

        Args:
            keys: From the top of the file.
            rule: A sentence without its full stop.
            cause: Further lines, such as a traceback of the user's code.
        """
        line = self._file.line_of(*keys) or 1
        given = _at(self._file.data, keys)
        found = "" if given is _NOTHING else f" (found: {_shown(keys, given)})"
        name = ".".join(map(str, keys))
        self._found.append(
            (line, f"{self._file.path}:{line}: {name}: {rule}{found}{cause and chr(10) + cause.rstrip()}")
        )

    def raise_any(self) -> None:
        """Raise one error for all of them.

        Raises:
            ConfigError: There is at least one.
        """
        if not self._found:
            return
        self._found.sort(key=lambda found: found[0])
        raise ConfigError("\n".join(text for _, text in self._found), path=str(self._file.path), line=self._found[0][0])


def _at(data: Any, keys: Keys) -> Any:
    for key in keys:
        if isinstance(data, dict):
            data = data.get(key, _NOTHING)
        elif isinstance(data, list) and isinstance(key, int) and 0 <= key < len(data):
            data = data[key]
        else:
            return _NOTHING
    return _NOTHING if isinstance(data, (dict, list)) else data


def _shown(keys: Keys, given: Any) -> str:
    secret = (
        any(looks_secret(str(key)) for key in keys)
        or holds_secret(given)
        or looks_secret_value(shorten(given, _MOST_LOOKED_AT))
    )
    return HIDDEN if secret else shorten(given, 60)
