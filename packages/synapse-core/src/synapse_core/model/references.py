"""Names of plugins and actions that can be handed to another process or machine, without their code."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ActionReference", "PluginReference"]


@dataclass(frozen=True, slots=True)
class PluginReference:
    """Which plugin is meant.

    Attributes:
        code: Its identity.
        folder: Its folder on this machine, where it has one.
        version: Its version, where it states one.
    """

    code: str
    folder: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ActionReference:
    """Which action is meant, where its code does not import here, or is not here at all.

    Only executors whose description ``needs`` no code are given one.

    Attributes:
        name: Its name in the plugin.
        plugin: Its plugin.
        entrypoint: Its entrypoint, where the plugin's config is here.
        idempotent: Whether it may be run again after its worker died.
    """

    name: str
    plugin: PluginReference
    entrypoint: str | None = None
    idempotent: bool = False
