"""Progress speaks the wire format of the pipeline service, and finds actions in order and by name."""

import json
import math
import pickle
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from synapse_core.model.pipeline import Checkpoint
from synapse_core.model.progress import ActionProgress, ActionProgressList, PipelineProgress

WIRE = {
    "run_id": "r1",
    "pipeline_id": "p1",
    "status": "running",
    "current_action": "train",
    "current_action_index": 1,
    "overall_progress": 0.75,
    "progress": [
        {
            "name": "load",
            "status": "completed",
            "progress": 1.0,
            "progress_step": None,
            "message": None,
            "metrics": {},
            "started_at": "2026-01-01T00:00:00Z",
            "completed_at": "2026-01-01T00:01:00Z",
            "error": None,
        },
        {
            "name": "train",
            "status": "running",
            "progress": 0.5,
            "progress_step": "epochs",
            "message": "half",
            "metrics": {"training": {"loss": 0.1}},
            "started_at": "2026-01-01T00:01:00Z",
            "completed_at": None,
            "error": None,
        },
    ],
    "started_at": "2026-01-01T00:00:00Z",
    "completed_at": None,
    "error": None,
}


def test_the_wire_document_makes_a_round_trip() -> None:
    progress = PipelineProgress.model_validate(json.loads(json.dumps(WIRE)))
    assert json.loads(json.dumps(progress.to_wire())) == WIRE


def test_the_models_own_form_and_pickling_make_a_round_trip() -> None:
    progress = PipelineProgress.model_validate(WIRE)
    assert PipelineProgress.model_validate_json(progress.model_dump_json()) == progress
    assert PipelineProgress.model_validate(progress.model_dump()) == progress
    assert pickle.loads(pickle.dumps(progress)) == progress
    assert progress.model_copy() == progress


def test_actions_are_found_in_order_and_by_name() -> None:
    actions = PipelineProgress.model_validate(WIRE).actions
    assert [action.name for action in actions] == ["load", "train"]
    assert actions["train"] is actions[1] is actions[-1]
    assert "train" in actions
    assert actions[0] in actions
    assert "test" not in actions
    assert [action.name for action in actions[1:]] == ["train"]
    assert len(actions) == 2
    with pytest.raises(KeyError, match="load, train"):
        actions["test"]


def test_lists_of_equal_actions_are_equal_and_hash_alike() -> None:
    one, other = (ActionProgressList([ActionProgress(name="a", metrics={"x": [1]})]) for _ in range(2))
    assert one == other == [ActionProgress(name="a", metrics={"x": [1]})]
    assert hash(one) == hash(other)
    assert one != ActionProgressList()
    assert one != "a"


def test_keys_that_a_later_service_adds_are_no_error() -> None:
    assert PipelineProgress.model_validate({**WIRE, "eta": 5}).run_id == "r1"


def test_statuses_are_taken_in_either_case_and_written_in_lower_case() -> None:
    progress = PipelineProgress.model_validate({"run_id": "r", "status": "RUNNING", "progress": [{"name": "a", "status": "SKIPPED"}]})  # fmt: skip
    assert progress.to_wire()["status"] == "running"
    assert progress.to_wire()["progress"][0]["status"] == "skipped"


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan, math.inf, 50])
def test_progress_is_a_fraction(fraction: float) -> None:
    with pytest.raises(ValidationError):
        ActionProgress(name="a", progress=fraction)
    with pytest.raises(ValidationError):
        PipelineProgress(run_id="r", overall_progress=fraction)


def test_progress_is_a_value_that_nobody_changes() -> None:
    with pytest.raises(ValidationError):
        PipelineProgress(run_id="r").status = "completed"  # type: ignore[misc, assignment]


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_its_json_schema_describes_the_actions(mode: str) -> None:
    schema = PipelineProgress.model_json_schema(mode=mode)  # type: ignore[arg-type]
    assert "ActionProgress" in schema["$defs"]


def test_a_checkpoint_makes_a_round_trip_and_refuses_a_negative_position() -> None:
    checkpoint = Checkpoint(action_name="a", action_index=0, result={"$type": "tuple", "value": [1]}, created_at=datetime(2026, 1, 1, tzinfo=UTC))  # fmt: skip
    assert Checkpoint.model_validate_json(checkpoint.model_dump_json()) == checkpoint
    with pytest.raises(ValidationError):
        Checkpoint(action_name="a", action_index=-1)
