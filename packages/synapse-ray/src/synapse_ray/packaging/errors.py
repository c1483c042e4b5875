"""What goes wrong with the folder that is to be packaged."""

from __future__ import annotations

from synapse_core.errors import BackendError

__all__ = ["LargePackageWarning", "PackagingError"]


class PackagingError(BackendError):
    """A folder cannot be packaged; nothing was sent."""


class LargePackageWarning(UserWarning):
    """A package is large: every node that runs the action fetches all of it."""
