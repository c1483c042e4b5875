"""Pipeline models under one roof: statuses, progress and checkpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from synapse_core.model.progress import ActionProgress, ActionProgressList, PipelineProgress
from synapse_core.model.status import ActionStatus, RunStatus

__all__ = ["ActionProgress", "ActionProgressList", "ActionStatus", "Checkpoint", "PipelineProgress", "RunStatus"]


class Checkpoint(BaseModel):
    """State of a run after one finished action.

    Attributes:
        action_index: 0-based position of the action.
        params_snapshot: Initial params with every finished action's result merged over them.
        result: The action's result, as tagged data.
        artifacts_path: Where the action left its files, a path or URL.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str | None = None
    action_name: str
    action_index: int = Field(ge=0)
    status: ActionStatus = ActionStatus.COMPLETED
    params_snapshot: dict[str, Any] = Field(default_factory=dict)
    result: Any = None
    artifacts_path: str | None = None
    created_at: datetime | None = None
