"""Private top-level module names: a function of the plugin's code and its sources, alike on every machine."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

__all__ = ["PREFIX", "PrivateName", "with_plain_names"]

PREFIX = "_synapse_plugin_"

_PATTERN = re.compile(PREFIX + r"(?P<slug>\w*)_(?P<digest>[0-9a-f]{16})(?:_at_(?P<place>[0-9a-f]{8}))?")
_IN_TEXT = re.compile(PREFIX + r"\w*_[0-9a-f]{16}(?:_at_[0-9a-f]{8})?\.")


@dataclass(frozen=True, slots=True)
class PrivateName:
    """The parts of a private name.

    Attributes:
        slug: The plugin's code, as an identifier.
        digest: Of its sources.
        place: Tells apart two folders of equal content that one process uses both; else ``None``.
    """

    slug: str
    digest: str
    place: str | None = None

    @classmethod
    def of(cls, code: str, digest: str) -> PrivateName:
        """Make the name of a plugin."""
        return cls(re.sub(r"\W", "_", code), digest)

    def at(self, folder: str) -> PrivateName:
        """Return the name of a second folder with the same content."""
        place = hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()
        return PrivateName(self.slug, self.digest, place[:8])

    @classmethod
    def parse(cls, module_name: str) -> PrivateName | None:
        """Read the first part of a module's name; ``None`` where it is not a private one."""
        match = _PATTERN.fullmatch(module_name.partition(".")[0])
        return cls(**match.groupdict()) if match else None

    def __str__(self) -> str:
        return f"{PREFIX}{self.slug}_{self.digest}" + (f"_at_{self.place}" if self.place else "")


def with_plain_names(text: str) -> str:
    """Return `text` with the modules of plugins named as the plugin's author named them."""
    return _IN_TEXT.sub("", text) if PREFIX in text else text
