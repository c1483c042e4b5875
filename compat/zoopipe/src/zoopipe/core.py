"""Documented path of `Pipe`."""

from synapse_flow.pipe import Pipe

__all__ = ["Pipe"]
