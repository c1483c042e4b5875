"""What synapse-dask offers, without importing Dask."""

from __future__ import annotations

from synapse_core.plugins.descriptions import EngineDescription
from synapse_core.plugins.hookspecs import hookimpl


@hookimpl
def synapse_engines() -> list[EngineDescription]:
    """Offer the record engine."""
    return [
        EngineDescription(
            name="dask", target="synapse_dask.engine:DaskEngine", help="on a Dask cluster; for work on many machines"
        )
    ]
