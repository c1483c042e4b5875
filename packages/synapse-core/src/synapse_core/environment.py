"""Settings of a plugin: environment variables, config values and overrides, in one typed view."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from synapse_core.errors import ConfigError, EnvironmentValueError
from synapse_core.redaction import HIDDEN, looks_secret, looks_secret_value
from synapse_core.safe_text import shorten

__all__ = ["PluginEnvironment"]

T = TypeVar("T")

_TRUE = frozenset({"true", "1", "yes", "y", "on", "t"})
_FALSE = frozenset({"false", "0", "no", "n", "off", "f", ""})
_SHOWN_KEYS = 8
_MOST_LOOKED_AT = 100_000


class PluginEnvironment(Mapping[str, Any]):
    """An immutable mapping of settings with typed accessors.

    Values keep the type they were given. ``repr`` shows names only, never values.

    Example:
        >>> env = PluginEnvironment({"BATCH_SIZE": "64", "DEBUG": True})
        >>> env.get_int("BATCH_SIZE"), env.get_bool("DEBUG"), env.get_list("TAGS", default=[])
        (64, True, [])
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values: dict[str, Any] = dict(values or {})

    @classmethod
    def from_environ(cls, prefix: str | None = None) -> PluginEnvironment:
        """Take a snapshot of ``os.environ``; with `prefix`, only its variables, the prefix dropped."""
        if not prefix:
            return cls(os.environ)
        start = len(prefix)
        return cls({key[start:]: value for key, value in os.environ.items() if key[start:] and key.startswith(prefix)})

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> PluginEnvironment:
        """Read a TOML file; tables become dicts.

        Raises:
            ConfigError: The file is missing, unreadable or not TOML.
        """
        import tomllib

        file = Path(path).expanduser()
        try:
            return cls(tomllib.loads(file.read_text(encoding="utf-8-sig")))
        except OSError as error:
            raise ConfigError(f"{file}: cannot be read: {error.strerror or error}", path=str(file)) from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{file}: not UTF-8 text: {error.reason}", path=str(file)) from error
        except tomllib.TOMLDecodeError as error:
            text = str(error)
            _, _, place = text.partition("(at line ")  # its line as a number came with Python 3.14
            line = place.partition(",")[0]
            known = int(line) if line.isdigit() else None
            where = f"{file}:{known}" if known else str(file)
            raise ConfigError(f"{where}: not valid TOML: {text}", path=str(file), line=known) from error

    def merge(self, *others: Mapping[str, Any]) -> PluginEnvironment:
        """Return a new environment in which later ones win.

        ``PluginEnvironment.merge(base, config, override)`` and ``base.merge(config, override)`` are the same.
        """
        merged: dict[str, Any] = dict(self)
        for other in others:
            merged.update(other or {})
        return PluginEnvironment(merged)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a new dict."""
        return dict(self._values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __repr__(self) -> str:
        names = sorted(map(str, self._values))
        shown = ", ".join(names[:_SHOWN_KEYS])
        more = f", … {len(names) - _SHOWN_KEYS} more" if len(names) > _SHOWN_KEYS else ""
        return f"PluginEnvironment({len(names)} keys{': ' if names else ''}{shown}{more})"

    # -- typed accessors ----------------------------------------------------------------------
    # Each returns `default` where the key is absent or its value is None, and raises
    # EnvironmentValueError, naming key, value and wanted type, where the value does not convert.

    @overload
    def get_str(self, key: str, default: str) -> str: ...
    @overload
    def get_str(self, key: str, default: None = None) -> str | None: ...
    def get_str(self, key: str, default: str | None = None) -> str | None:
        """Return the value as a string."""
        return self._converted(key, default, str, "a string")

    @overload
    def get_int(self, key: str, default: int) -> int: ...
    @overload
    def get_int(self, key: str, default: None = None) -> int | None: ...
    def get_int(self, key: str, default: int | None = None) -> int | None:
        """Return the value as an integer; ``"64"`` and ``64.0`` convert, ``64.5`` does not."""
        return self._converted(key, default, _to_int, "an integer")

    @overload
    def get_float(self, key: str, default: float) -> float: ...
    @overload
    def get_float(self, key: str, default: None = None) -> float | None: ...
    def get_float(self, key: str, default: float | None = None) -> float | None:
        """Return the value as a float."""
        return self._converted(key, default, float, "a number")

    @overload
    def get_bool(self, key: str, default: bool) -> bool: ...
    @overload
    def get_bool(self, key: str, default: None = None) -> bool | None: ...
    def get_bool(self, key: str, default: bool | None = None) -> bool | None:
        """Return the value as a boolean: true, 1, yes, y, on, t or false, 0, no, n, off, f, empty; in any case."""
        return self._converted(key, default, _to_bool, "a boolean (true/false, 1/0, yes/no, on/off)")

    @overload
    def get_list(self, key: str, default: list[Any]) -> list[Any]: ...
    @overload
    def get_list(self, key: str, default: None = None) -> list[Any] | None: ...
    def get_list(self, key: str, default: list[Any] | None = None) -> list[Any] | None:
        """Return the value as a list; a string is split at commas, its parts stripped."""
        return self._converted(key, default, _to_list, "a list (or a comma-separated string)")

    def _converted(self, key: str, default: T | None, convert: Callable[[Any], T], wanted: str) -> T | None:
        value = self._values.get(key)
        if value is None:
            return default
        try:
            return convert(value)
        except (TypeError, ValueError, OverflowError):
            secret = looks_secret(key) or looks_secret_value(shorten(value, _MOST_LOOKED_AT))
            shown = HIDDEN if secret else shorten(value)
            # The cause is left out on purpose: its text repeats the value.
            raise EnvironmentValueError(
                f"environment value {key}={shown} ({type(value).__name__}) is not {wanted}"
            ) from None


def _to_int(value: Any) -> int:
    number = int(value)
    if not isinstance(value, (str, bytes)) and number != value:  # 64.5, also as a Decimal
        raise ValueError(value)
    return number


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(value)


def _to_list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    raise TypeError(value)
