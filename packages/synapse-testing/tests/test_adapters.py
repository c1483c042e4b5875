"""The in-memory adapters are what their ports ask for."""

from collections.abc import Callable, Iterator

import pytest

from synapse_core.errors import LeaseLostError, RunNotFoundError
from synapse_core.model.pipeline import Checkpoint, RunStatus
from synapse_core.ports.engine import RecordEngine
from synapse_core.ports.executor import ExecutorProtocol, JobExecutorProtocol
from synapse_core.ports.run_store import Fence, JournalEntry, Lease, Run, RunStore
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


@pytest.mark.parametrize("how", ["closed", "failed", "finished"])
def test_the_inline_engine_closes_its_source_when_it_ends(how: str) -> None:
    closed = []

    def chunks() -> Iterator[int]:
        try:
            yield from (1, 0)
        finally:
            closed.append(True)

    results = InlineEngine().run(lambda chunk: chunk if how == "finished" else 1 // chunk, chunks())
    assert next(results) == 1
    if how == "closed":
        results.close()
    elif how == "failed":
        with pytest.raises(ZeroDivisionError):
            next(results)
    else:
        assert list(results) == [0]
    assert closed == [True]
    assert list(results) == []


class TestInMemoryRunStore:
    @pytest.fixture
    def store(self) -> InMemoryRunStore:
        return InMemoryRunStore()

    def test_a_new_run_is_pending(self, store: InMemoryRunStore) -> None:
        run_id = store.create_run({"actions": ["train"]}, run_id="r-1")
        assert run_id == "r-1"
        assert store.get_run(run_id) == Run("r-1", {"actions": ["train"]}, RunStatus.PENDING)

    def test_a_taken_id_is_refused(self, store: InMemoryRunStore) -> None:
        store.create_run({}, run_id="r-1")
        with pytest.raises(ValueError, match="r-1"):
            store.create_run({}, run_id="r-1")

    def test_a_forbidden_change_of_status_changes_nothing(self, store: InMemoryRunStore) -> None:
        run_id = store.create_run({})
        store.set_status(run_id, RunStatus.CANCELLED)
        with pytest.raises(ValueError, match="cancelled"):
            store.set_status(run_id, RunStatus.COMPLETED, result=1)
        assert store.get_run(run_id).status is RunStatus.CANCELLED
        assert store.get_run(run_id).result is None

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
        assert store.append_events(run_id, []) == 0
        assert store.append_events(run_id, [{"n": 1}, {"n": 2}]) == 2
        assert store.append_events(run_id, [{"n": 3}]) == 3

    def test_the_journal_is_read_on_from_an_offset(self, store: InMemoryRunStore) -> None:
        run_id = store.create_run({})
        last = store.append_events(run_id, [{"n": n} for n in (1, 2, 3)])
        assert store.read_events(run_id, after=1) == (JournalEntry(2, {"n": 2}), JournalEntry(3, {"n": 3}))
        assert store.read_events(run_id, limit=1) == (JournalEntry(1, {"n": 1}),)
        assert store.read_events(run_id, after=last) == ()

    @pytest.mark.parametrize("method", ["get_run", "checkpoints", "read_events", "progress"])
    def test_an_unknown_run_is_said_to_be_unknown(self, store: InMemoryRunStore, method: str) -> None:
        with pytest.raises(RunNotFoundError, match="nobody") as caught:
            getattr(store, method)("nobody")
        assert isinstance(caught.value, LookupError)


def _writes(store: InMemoryRunStore, run_id: str, fence: Fence | None) -> list[Callable[[], object]]:
    checkpoint = Checkpoint(action_name="train", action_index=0)
    return [
        lambda: store.append_events(run_id, [{"n": 1}], fence=fence),
        lambda: store.commit(run_id, checkpoint, fence=fence),
        lambda: store.set_status(run_id, RunStatus.RUNNING, fence=fence),
    ]


class TestLeasesOfTheInMemoryRunStore:
    @pytest.fixture
    def store(self) -> InMemoryRunStore:
        store = InMemoryRunStore()
        store.create_run({"actions": ["train"]}, run_id="r-1")
        return store

    @staticmethod
    def acquire(store: InMemoryRunStore, owner: str, seen: Lease | None = None) -> Lease:
        lease = store.acquire("r-1", owner, seen=seen)
        assert lease is not None
        return lease

    def test_the_run_says_who_has_it(self, store: InMemoryRunStore) -> None:
        lease = self.acquire(store, "ada")
        assert store.get_run("r-1").lease == lease == Lease("ada", lease.token, 0)

    def test_renewing_counts_and_keeps_the_token(self, store: InMemoryRunStore) -> None:
        lease = self.acquire(store, "ada")
        assert store.renew("r-1", lease.fence) == Lease("ada", lease.token, lease.counter + 1)
        assert store.get_run("r-1").lease == Lease("ada", lease.token, lease.counter + 1)

    def test_an_owner_that_asks_again_keeps_its_token_and_shows_that_it_lives(self, store: InMemoryRunStore) -> None:
        lease = self.acquire(store, "ada")
        again = self.acquire(store, "ada")
        assert (again.token, again.counter) == (lease.token, lease.counter + 1)
        assert store.acquire("r-1", "grace", seen=lease) is None

    def test_a_second_owner_gets_nothing_while_the_first_has_it(self, store: InMemoryRunStore) -> None:
        lease = self.acquire(store, "ada")
        assert store.acquire("r-1", "grace") is None
        assert store.get_run("r-1").lease == lease

    def test_a_second_owner_gets_it_after_a_release(self, store: InMemoryRunStore) -> None:
        lease = self.acquire(store, "ada")
        store.release("r-1", lease.fence)
        assert store.get_run("r-1").lease is None
        assert self.acquire(store, "grace").token > lease.token

    def test_a_second_owner_takes_over_what_it_has_seen_unchanged(self, store: InMemoryRunStore) -> None:
        lease = self.acquire(store, "ada")
        seen = store.get_run("r-1").lease
        assert self.acquire(store, "grace", seen).token > lease.token

    def test_nobody_takes_over_what_was_renewed_since(self, store: InMemoryRunStore) -> None:
        lease = self.acquire(store, "ada")
        store.renew("r-1", lease.fence)
        assert store.acquire("r-1", "grace", seen=lease) is None

    def test_of_two_that_saw_the_same_one_takes_over(self, store: InMemoryRunStore) -> None:
        seen = self.acquire(store, "ada")
        assert self.acquire(store, "grace", seen).owner == "grace"
        assert store.acquire("r-1", "alan", seen=seen) is None

    def test_the_owner_writes(self, store: InMemoryRunStore) -> None:
        for write in _writes(store, "r-1", self.acquire(store, "ada").fence):
            write()
        assert store.get_run("r-1").status is RunStatus.RUNNING
        assert len(store.checkpoints("r-1")) == len(store.read_events("r-1")) == 1

    @pytest.mark.parametrize("loses", ["takeover", "release", "no fence"])
    def test_a_write_that_is_fenced_out_changes_nothing(self, store: InMemoryRunStore, loses: str) -> None:
        lease = self.acquire(store, "ada")
        fence: Fence | None = lease.fence
        if loses == "takeover":
            self.acquire(store, "grace", lease)
        elif loses == "release":
            store.release("r-1", lease.fence)
        else:
            fence = None
        for write in _writes(store, "r-1", fence):
            with pytest.raises(LeaseLostError, match="r-1"):
                write()
        assert store.get_run("r-1").status is RunStatus.PENDING
        assert len(store.checkpoints("r-1")) == len(store.read_events("r-1")) == 0

    def test_a_lost_lease_is_not_renewed_and_its_release_frees_nobody(self, store: InMemoryRunStore) -> None:
        lost = self.acquire(store, "ada")
        lease = self.acquire(store, "grace", lost)
        with pytest.raises(LeaseLostError, match="'grace' has it now"):
            store.renew("r-1", lost.fence)
        store.release("r-1", lost.fence)
        assert store.get_run("r-1").lease == lease

    def test_a_run_that_was_never_leased_takes_writes_without_a_fence(self, store: InMemoryRunStore) -> None:
        for write in _writes(store, "r-1", None):
            write()

    def test_a_fence_that_nobody_gave_out_is_refused(self, store: InMemoryRunStore) -> None:
        with pytest.raises(LeaseLostError, match="nobody has it now"):
            store.append_events("r-1", [{"n": 1}], fence=Fence(7))

    def test_cancelling_is_everybodys_right(self, store: InMemoryRunStore) -> None:
        self.acquire(store, "ada")
        store.set_status("r-1", RunStatus.CANCELLED)
        assert store.get_run("r-1").status is RunStatus.CANCELLED

    def test_an_action_is_committed_once_across_owners(self, store: InMemoryRunStore) -> None:
        lease = self.acquire(store, "ada")
        store.commit("r-1", Checkpoint(action_name="train", action_index=0, result=1), fence=lease.fence)
        fence = self.acquire(store, "grace", lease).fence
        with pytest.raises(ValueError, match="committed"):
            store.commit("r-1", Checkpoint(action_name="train", action_index=0, result=2), fence=fence)
        assert [checkpoint.result for checkpoint in store.checkpoints("r-1")] == [1]


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
