"""One line of the table of what is installed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from synapse_core.plugins import descriptions as kinds
from synapse_core.ports.executor import Capabilities

__all__ = ["Row"]

_KINDS: dict[str, type[kinds.Description]] = {
    name: getattr(kinds, name) for name in kinds.__all__ if name != "API_VERSION"
}


@dataclass(frozen=True, slots=True)
class Row:
    """Something that a distribution offers, or the error that it gave instead.

    Attributes:
        name: What people type; the entry point's name where loading failed.
        hook: The hook that it came from; empty where loading failed.
        error: Why it cannot be used; empty where it can.
    """

    name: str
    hook: str
    distribution: str
    version: str
    description: kinds.Description | None = None
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types."""
        kind = type(self.description).__name__ if self.description else None
        return {**asdict(self), "kind": kind}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Row:
        """Read what `to_dict` wrote."""
        values = dict(data)
        kind = values.pop("kind")
        if kind is not None:
            fields: dict[str, Any] = dict(data["description"])
            fields = {key: tuple(item) if isinstance(item, list) else item for key, item in fields.items()}
            if "capabilities" in fields:
                fields["capabilities"] = Capabilities(**fields["capabilities"])
            values["description"] = _KINDS[kind](**fields)
        return cls(**values)
