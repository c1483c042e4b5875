"""What a flow is when it is ready to run, and what one run of it may do otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from synapse_flow.pipe import Pipe

__all__ = ["NO_CHANGES", "Flow", "FlowChanges"]


@dataclass(frozen=True, slots=True)
class FlowChanges:
    """What one run does otherwise than its flow says; None changes nothing.

    Attributes:
        executor: Name of another executor; the arguments of the same one are kept.
        workers: How many workers it has.
        limit: Records to read, at most.
        input: Another place to read from; a relative one is below the current folder.
        output: Another place to write to; hooks are kept, and options of the same kind of output, or it is refused.
        errors: Another place for failed records, likewise.
    """

    executor: str | None = None
    workers: int | None = None
    limit: int | None = None
    input: str | None = None
    output: str | None = None
    errors: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that is ready to run.

    Attributes:
        name: Its name.
        target: Where it is described, as it was typed.
        pipe: What runs.
        description: One line for people.
        resumes: Whether a run that was killed is to go on, where its outputs allow that.
        source: Path or URL of its input, where that is known.
    """

    name: str
    target: str
    pipe: Pipe
    description: str = ""
    resumes: bool = True
    source: str | None = None


NO_CHANGES = FlowChanges()
"""For a run that does all as described."""
