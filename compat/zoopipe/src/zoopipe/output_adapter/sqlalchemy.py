"""Documented path of `SQLAlchemyOutputAdapter`."""

from synapse_flow.outputs.sql import SQLAlchemyOutputAdapter

__all__ = ["SQLAlchemyOutputAdapter"]
