"""One transition table for all statuses, and words that print and compare as documented."""

import json
import pickle

import pytest
from hypothesis import given, strategies as st

from synapse_core.model.status import ActionStatus, JobStatus, RunStatus

ALL = [*RunStatus, *ActionStatus, *JobStatus]
ANY = st.sampled_from(ALL)


@pytest.mark.parametrize("status", ALL, ids=repr)
def test_a_status_is_made_from_either_case_and_is_the_documented_word(status: RunStatus) -> None:
    word = status.value
    for written in (word.lower(), word.upper(), word.title()):
        assert type(status)(written) is status
    assert f"{status}" == str(status) == status == word
    assert json.loads(json.dumps(status)) == word
    assert {status: 1}[word] == 1  # type: ignore[index]
    assert pickle.loads(pickle.dumps(status)) is status


def test_the_documented_words() -> None:
    assert [str(status) for status in RunStatus] == ["pending", "running", "completed", "failed", "cancelled"]
    assert [str(status) for status in ActionStatus][-1] == "skipped"
    assert {"PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED", "UNKNOWN"} == set(JobStatus)


@pytest.mark.parametrize("word", ["", "done", "pendin", " running", None, 3])
def test_any_other_word_is_refused(word: object) -> None:
    for cls in (RunStatus, ActionStatus, JobStatus):
        with pytest.raises(ValueError):
            cls(word)


def test_terminal_statuses() -> None:
    assert {str(status) for status in ALL if status.is_terminal()} == {
        "completed", "failed", "cancelled", "skipped", "STOPPED", "SUCCEEDED", "FAILED",
    }  # fmt: skip


@given(ANY, ANY)
def test_nothing_follows_a_terminal_status_and_no_status_follows_itself(before: RunStatus, after: RunStatus) -> None:
    if before.is_terminal():
        assert not before.can_become(after)
    assert not before.can_become(before)


@given(st.lists(ANY, min_size=1, max_size=12))
def test_no_path_of_allowed_steps_comes_back_to_where_it_was(walk: list[RunStatus]) -> None:
    here, seen = walk[0], [walk[0]]
    for there in walk[1:]:
        if here.can_become(there):
            assert there not in seen
            here = there
            seen.append(there)
    assert len(seen) <= 4


@given(st.sampled_from(list(RunStatus)), st.sampled_from(list(RunStatus)))
def test_runs_and_actions_follow_the_same_table(before: RunStatus, after: RunStatus) -> None:
    assert before.can_become(after) == ActionStatus(before).can_become(ActionStatus(after))
    assert before.can_become(after) == before.can_become(str(after).upper())


@pytest.mark.parametrize(
    ("job", "run"), [("PENDING", "pending"), ("RUNNING", "running"), ("SUCCEEDED", "completed"), ("FAILED", "failed"), ("STOPPED", "cancelled")]
)  # fmt: skip
def test_jobs_follow_the_table_of_runs_under_their_own_words(job: str, run: str) -> None:
    for other_job, other_run in [("RUNNING", "running"), ("SUCCEEDED", "completed"), ("STOPPED", "cancelled")]:
        assert JobStatus(job).can_become(JobStatus(other_job)) == RunStatus(run).can_become(RunStatus(other_run))


def test_only_something_pending_can_be_skipped() -> None:
    assert {str(s) for s in ActionStatus if s.can_become(ActionStatus.SKIPPED)} == {"pending"}
