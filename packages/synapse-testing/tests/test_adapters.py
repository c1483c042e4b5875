"""The in-memory adapters are what their ports ask for."""

from collections.abc import Iterator

import pytest

from synapse_core.model.pipeline import Checkpoint, RunStatus
from synapse_core.ports.engine import RecordEngine
from synapse_core.ports.executor import ExecutorProtocol, JobExecutorProtocol
from synapse_core.ports.run_store import RunStore
from synapse_testing import InlineEngine, InMemoryExecutor, InMemoryJobExecutor, InMemoryRunStore
from synapse_testing.values import VALUES, make_value, same_value


@pytest.mark.parametrize(
    ("adapter", "port"),
    [
        (InMemoryExecutor(), ExecutorProtocol),
        (InMemoryJobExecutor(), JobExecutorProtocol),
        (InMemoryRunStore(), RunStore),
        (InlineEngine(), RecordEngine),
    ],
    ids=lambda item: getattr(item, "__name__", type(item).__name__),
)
def test_an_adapter_has_its_ports_methods(adapter: object, port: type) -> None:
    assert isinstance(adapter, port)


def test_the_inline_engine_takes_a_chunk_only_when_its_result_is_asked_for() -> None:
    taken = []

    def chunks() -> Iterator[int]:
        for chunk in range(1_000_000):
            taken.append(chunk)
            yield chunk

    results = InlineEngine().run(lambda chunk: chunk * 2, chunks())
    assert [next(results), next(results)] == [0, 2]
    assert taken == [0, 1]


class TestInMemoryRunStore:
    @pytest.fixture
    def store(self) -> InMemoryRunStore:
        return InMemoryRunStore()

    def test_a_new_run_is_pending(self, store: InMemoryRunStore) -> None:
        run_id = store.create_run({"actions": ["train"]}, run_id="r-1")
        assert run_id == "r-1"
        assert store.get_run(run_id) == {
            "id": "r-1",
            "specification": {"actions": ["train"]},
            "status": RunStatus.PENDING,
            "result": None,
            "error": None,
        }

    def test_a_taken_id_is_refused(self, store: InMemoryRunStore) -> None:
        store.create_run({}, run_id="r-1")
        with pytest.raises(ValueError, match="r-1"):
            store.create_run({}, run_id="r-1")

    def test_a_forbidden_change_of_status_changes_nothing(self, store: InMemoryRunStore) -> None:
        run_id = store.create_run({})
        store.set_status(run_id, RunStatus.CANCELLED)
        with pytest.raises(ValueError, match="cancelled"):
            store.set_status(run_id, RunStatus.COMPLETED, result=1)
        assert store.get_run(run_id)["status"] is RunStatus.CANCELLED
        assert store.get_run(run_id)["result"] is None

    def test_runs_are_listed_from_the_newest_on(self, store: InMemoryRunStore) -> None:
        first, second, third = (store.create_run({}) for _ in range(3))
        store.set_status(second, RunStatus.RUNNING)
        assert store.list_runs() == [third, second, first]
        assert store.list_runs(status=RunStatus.PENDING) == [third, first]
        assert store.list_runs(skip=1, limit=1) == [second]

    def test_an_action_is_committed_once(self, store: InMemoryRunStore) -> None:
        run_id = store.create_run({"actions": ["download", {"name": "train"}]})
        store.commit(run_id, Checkpoint(action_name="train", action_index=1))
        store.commit(run_id, Checkpoint(action_name="download", action_index=0))
        with pytest.raises(ValueError, match="committed"):
            store.commit(run_id, Checkpoint(action_name="train", action_index=1))
        assert [checkpoint.action_name for checkpoint in store.checkpoints(run_id)] == ["download", "train"]

    def test_progress_follows_the_commits(self, store: InMemoryRunStore) -> None:
        run_id = store.create_run({"actions": ["download", {"name": "train"}]})
        store.commit(run_id, Checkpoint(action_name="download", action_index=0))
        progress = store.progress(run_id)
        assert (progress.current_action, progress.current_action_index) == ("train", 1)
        assert progress.overall_progress == 0.5
        assert [f"{action.status}" for action in progress.actions] == ["completed", "pending"]

    def test_the_journal_answers_with_its_offset(self, store: InMemoryRunStore) -> None:
        run_id = store.create_run({})
        assert store.append_events(run_id, [{"kind": "log"}, {"kind": "log"}]) == 2
        assert store.append_events(run_id, [{"kind": "log"}]) == 3

    @pytest.mark.parametrize("method", ["get_run", "checkpoints", "progress"])
    def test_an_unknown_run_is_a_key_error(self, store: InMemoryRunStore, method: str) -> None:
        with pytest.raises(KeyError, match="nobody"):
            getattr(store, method)("nobody")


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_the_same_as_itself_made_anew(name: str) -> None:
    assert same_value(make_value(name), make_value(name))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ((1,), [1]),
        ([1, 2], [1, 2, 3]),
        ({"a": (1,)}, {"a": [1]}),
        (make_value("dataclass"), make_value("model")),
    ],
)
def test_values_that_only_look_alike_are_not_the_same(left: object, right: object) -> None:
    assert not same_value(left, right)
