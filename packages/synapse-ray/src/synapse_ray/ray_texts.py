"""What Ray says about deaths and installations, in words that help. Nothing here imports Ray."""

from __future__ import annotations

import re

from synapse_core.errors import WorkerLostError

__all__ = ["first_line", "is_out_of_memory", "last_lines", "worker_lost"]

_LAST_LINES = 15
_FRAME = re.compile(r'^\s+File ".*, line \d+|^Traceback \(most recent call last\)')
_CODE = re.compile(r"^    ")
_OUT_OF_MEMORY = "OutOfMemoryError"  # the name of Ray's exception
_GUESSES = "Some common causes include:"  # after which Ray lists what it may have been
_NODE_DIED = "its node has died"
_LOW_ON_MEMORY = "running low on memory"


def is_out_of_memory(reason: str) -> bool:
    """Say whether Ray says of a worker's death that its node had too little memory."""
    return _LOW_ON_MEMORY in reason


def worker_lost(
    doing: str, reason: str, *, original_type: str | None = None, actor_id: str | None = None
) -> WorkerLostError:
    """Return the error for a worker that died.

    Args:
        doing: What it was doing, as a participle.
        reason: What Ray says of its death.
        original_type: Name of Ray's exception, where there was one.
        actor_id: Ray's id of the actor, where it has run.
    """
    if is_out_of_memory(reason) or original_type == _OUT_OF_MEMORY:
        line = next((line.strip() for line in reason.splitlines() if _LOW_ON_MEMORY in line), first_line(reason))
        return WorkerLostError(
            f"{doing}: the node ran out of memory, and its worker was ended. Ask for more with memory=, "
            f"or run fewer at a time. Ray says: {line}",
            original_type=_OUT_OF_MEMORY,
        )
    # What it printed last was on its way here; its node has it, as long as there is that node.
    has_log = actor_id is not None and _NODE_DIED not in reason
    last = f"`ray logs actor --id {actor_id}` shows what it printed last. " if has_log else ""
    return WorkerLostError(
        f"{doing}: the worker died before it had answered: {_reason(reason)}. Whether it had finished is not known. "
        f"{last}An action that may be run again can say so with idempotent = True",
        original_type=original_type,
    )


def _reason(text: str) -> str:
    """Return the sentence of an actor's death that says why."""
    for mark in ("The actor died because", "Worker exit detail:", "The actor is dead because", "error_message:"):
        if mark in text:
            found = text[text.index(mark) :].partition("\n")[0]
            found = found.removeprefix("error_message:").partition(_GUESSES)[0]
            return found.strip().rstrip(".")
    return first_line(text).rstrip(".")


def first_line(text: str) -> str:
    """Return the first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "it gave no reason")


def last_lines(text: str) -> str:
    """Return the last lines of what an installer or Ray says, indented, without the frames of tracebacks."""
    lines: list[str] = []
    in_frames = False
    for line in text.replace("\\n", "\n").splitlines():
        in_frames = bool(_FRAME.match(line)) or (in_frames and bool(_CODE.match(line)))
        if line.strip() and not in_frames:
            lines.append(line)
    return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
