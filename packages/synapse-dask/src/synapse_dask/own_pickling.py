"""Keeps the pickling of Synapse's errors as it is, where Dask is imported."""

from __future__ import annotations

import copyreg

from synapse_core.errors import PluginError

__all__ = ["keep_own_pickling"]


def keep_own_pickling() -> None:
    """Take back what the import of `distributed` registers for the errors of Synapse.

    It lets every exception class of that moment pickle its cause and traceback too. An error of
    Synapse may be caused by one of the user's that cannot be pickled, and says itself how to pickle it.
    """
    classes: list[type] = [PluginError]
    for cls in classes:
        copyreg.dispatch_table.pop(cls, None)
        classes += cls.__subclasses__()
