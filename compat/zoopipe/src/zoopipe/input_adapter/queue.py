"""Documented path of `QueueInputAdapter`."""

from synapse_flow.inputs.queue import AsyncQueueInputAdapter, QueueInputAdapter

__all__ = ["AsyncQueueInputAdapter", "QueueInputAdapter"]
