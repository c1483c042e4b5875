"""Map work over chunks of records on a Dask cluster."""

from typing import TYPE_CHECKING

from synapse_core.lazy import lazy_exports

if TYPE_CHECKING:
    from synapse_dask.engine import DaskEngine as DaskEngine

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "synapse_dask.engine": ("DaskEngine",),
    },
)

__all__ = ["DaskEngine"]
