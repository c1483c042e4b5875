"""Port: the durable state of pipeline runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from synapse_core.model.pipeline import Checkpoint, PipelineProgress
from synapse_core.model.status import RunStatus

__all__ = ["Fence", "JournalEntry", "Lease", "Run", "RunStore"]


@dataclass(frozen=True, slots=True)
class Fence:
    """What a worker's write carries, so that one which has lost its lease changes nothing.

    Attributes:
        token: The lease's token.
    """

    token: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may work on a run. It holds no time: whether it has expired is for whoever wants it to see.

    Attributes:
        owner: Who has it.
        token: Larger for each new owner of the run.
        counter: Larger after each renewal.
    """

    owner: str
    token: int
    counter: int = 0

    @property
    def fence(self) -> Fence:
        """What the owner's writes carry."""
        return Fence(self.token)


@dataclass(frozen=True, slots=True)
class Run:
    """A run, as it was when it was read.

    Attributes:
        id: Its id.
        specification: All that is needed to start it; no secret.
        status: Its status.
        result: Its result, as tagged data; ``None`` before the end.
        error: What it failed with.
        lease: Who works on it; ``None`` where nobody does.
    """

    id: str
    specification: Mapping[str, Any] = field(default_factory=dict)
    status: RunStatus = RunStatus.PENDING
    result: Any = None
    error: str | None = None
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An event of a run's journal.

    Attributes:
        offset: Its position, from 1; in the order in which the events were committed.
        event: The event, JSON types.
    """

    offset: int
    event: Mapping[str, Any]


@runtime_checkable
class RunStore(Protocol):
    """Remembers runs, so that whoever comes after a crash can go on.

    Each method is one transaction: when it returns, its effect survives the loss of this process,
    and where it raises, nothing has changed. May be called from any thread. An unknown run raises
    `RunNotFoundError`.

    The writes of a worker (`set_status`, `commit`, `append_events`) take the fence of its lease, and
    compare it in their own transaction: a fence that is not that of the run's lease is a
    `LeaseLostError`. So is a missing one, once the run has been leased; a run that never was takes
    writes without. Cancelling is everybody's right and needs no fence.

    No clock is compared, here or by anybody else. Whoever wants a run that another owner has reads
    its lease, and reads it again, for the whole length of a lease on its own monotonic clock; what it
    has seen unchanged all that time it may take over. An owner that could not renew for two thirds
    of the lease stops its work.
    """

    def create_run(self, specification: Mapping[str, Any], *, run_id: str | None = None) -> str:
        """Record a run, ``PENDING``, with all that is needed to start it; returns its id.

        Raises:
            ValueError: `run_id` is taken.
        """
        ...

    def get_run(self, run_id: str) -> Run:
        """Return the run, its lease included."""
        ...

    def list_runs(self, *, status: RunStatus | None = None, skip: int = 0, limit: int = 100) -> Sequence[str]:
        """Return run ids, the newest first."""
        ...

    def acquire(self, run_id: str, owner: str, *, seen: Lease | None = None) -> Lease | None:
        """Return a lease on the run for `owner`, or ``None`` where another one has it.

        An owner that has it gets it again, renewed, with the same token. Otherwise it is given where
        nobody has it, and where `seen` has the token and counter that the other one's lease has at
        this moment; then with a new token, which fences the other one out.
        """
        ...

    def renew(self, run_id: str, fence: Fence) -> Lease:
        """Return the lease with a counter that is one larger: the sign that its owner lives.

        Raises:
            LeaseLostError: The run's lease is another one, or released; stop the work.
        """
        ...

    def release(self, run_id: str, fence: Fence) -> None:
        """Give the lease back. Does nothing where it is another one's, or nobody's."""
        ...

    def set_status(
        self,
        run_id: str,
        status: RunStatus,
        *,
        result: Any = None,
        error: str | None = None,
        fence: Fence | None = None,
    ) -> None:
        """Move a run on.

        Raises:
            LeaseLostError: The fence is not that of the run's lease.
            ValueError: The transition table forbids it.
        """
        ...

    def commit(self, run_id: str, checkpoint: Checkpoint, *, fence: Fence | None = None) -> None:
        """Record one finished action.

        Raises:
            LeaseLostError: The fence is not that of the run's lease.
            ValueError: The action is committed already; what is committed stays as it is.
        """
        ...

    def checkpoints(self, run_id: str) -> Sequence[Checkpoint]:
        """Return what is committed, in order of the actions."""
        ...

    def append_events(self, run_id: str, events: Sequence[Mapping[str, Any]], *, fence: Fence | None = None) -> int:
        """Append to the run's journal; returns the offset of its last entry, 0 where it is empty.

        Raises:
            LeaseLostError: The fence is not that of the run's lease.
        """
        ...

    def read_events(self, run_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[JournalEntry]:
        """Return entries of the journal whose offsets are larger than `after`, in order, without a gap."""
        ...

    def progress(self, run_id: str) -> PipelineProgress:
        """Return the run's progress."""
        ...
