"""Port: the settings that an action reads."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = ["Environment"]


@runtime_checkable
class Environment(Protocol):
    """Read-only settings by name.

    Safe to read from any thread; reading does no I/O after the first time. A value that does not
    convert raises `EnvironmentValueError`. `PluginEnvironment` is the in-memory implementation.
    """

    def get(self, key: str, default: Any = None, /) -> Any:
        """Return the raw value, or `default` where the key is absent."""
        ...

    def __getitem__(self, key: str, /) -> Any:
        """Return the raw value. Raises ``KeyError``."""
        ...

    def __contains__(self, key: object, /) -> bool: ...

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a new dict."""
        ...
