"""Documented path of pipeline statuses, progress and checkpoints."""

from synapse_core import (
    ActionProgress,
    ActionStatus,
    Checkpoint,
    PipelineProgress,
    RunStatus,
)

__all__ = [
    "ActionProgress",
    "ActionStatus",
    "Checkpoint",
    "PipelineProgress",
    "RunStatus",
]
