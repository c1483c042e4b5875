"""Documented path of `SQLAlchemyInputAdapter`."""

from synapse_flow.inputs.sql import SQLAlchemyInputAdapter

__all__ = ["SQLAlchemyInputAdapter"]
