"""Documented path of `QueueOutputAdapter`."""

from synapse_flow.outputs.memory import QueueOutputAdapter

__all__ = ["QueueOutputAdapter"]
