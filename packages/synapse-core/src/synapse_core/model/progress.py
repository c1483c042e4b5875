"""Progress of actions and pipeline runs, as frozen values that match the wire format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, overload

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from synapse_core.model.status import ActionStatus, RunStatus

__all__ = ["ActionProgress", "ActionProgressList", "PipelineProgress"]


class ActionProgress(BaseModel):
    """Progress of one action of a run.

    Attributes:
        progress: Fraction done, 0 to 1.
        progress_step: Name of the step that `progress` speaks of.
        metrics: Latest metrics, by step.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    status: ActionStatus = ActionStatus.PENDING
    progress: float = Field(default=0.0, ge=0, le=1)
    progress_step: str | None = None
    message: str | None = None
    metrics: dict[str, Any] = Field(default_factory=dict)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None


class ActionProgressList(Sequence[ActionProgress]):
    """Actions of a run in order, found by position or by name.

    Example:
        >>> actions = ActionProgressList([ActionProgress(name="train")])
        >>> actions["train"] is actions[0]
        True
    """

    __slots__ = ("_items",)

    def __init__(self, items: Sequence[ActionProgress] = ()) -> None:
        self._items = tuple(items)

    @overload
    def __getitem__(self, key: int | str) -> ActionProgress: ...
    @overload
    def __getitem__(self, key: slice) -> ActionProgressList: ...
    def __getitem__(self, key: int | str | slice) -> ActionProgress | ActionProgressList:
        if isinstance(key, str):
            for item in self._items:
                if item.name == key:
                    return item
            raise KeyError(f"no action {key!r} in this run; there are: {', '.join(i.name for i in self._items)}")
        if isinstance(key, slice):
            return ActionProgressList(self._items[key])
        return self._items[key]

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        return any(item.name == key or item == key for item in self._items)

    def __iter__(self) -> Iterator[ActionProgress]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Sequence) and not isinstance(other, str):
            return self._items == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(item.name for item in self._items))

    def __repr__(self) -> str:
        return f"ActionProgressList({list(self._items)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        items = handler.generate_schema(list[ActionProgress])
        return core_schema.no_info_before_validator_function(
            lambda value: list(value) if isinstance(value, cls) else value,
            core_schema.no_info_after_validator_function(cls, items),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value, info: [item.model_dump(mode=info.mode) for item in value], info_arg=True
            ),
        )


class PipelineProgress(BaseModel):
    """Progress of a whole run.

    Attributes:
        current_action_index: 0-based position of `current_action`.
        overall_progress: Fraction done, 0 to 1.
        actions: One entry per action, in order and by name; ``progress`` on the wire.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    pipeline_id: str | None = None
    status: RunStatus = RunStatus.PENDING
    current_action: str | None = None
    current_action_index: int | None = None
    overall_progress: float = Field(default=0.0, ge=0, le=1)
    actions: ActionProgressList = Field(
        default_factory=ActionProgressList, validation_alias=AliasChoices("actions", "progress")
    )
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None

    def to_wire(self) -> Mapping[str, Any]:
        """Return the document of the pipeline service, JSON types only."""
        document = self.model_dump(mode="json")
        document["progress"] = document.pop("actions")
        return document
