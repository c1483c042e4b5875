"""The work that the conformance suites run: importable by any worker, and told by files when to go on.

Paths in params are text, and lie on a disk that worker and test share.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from synapse_core.actions import BaseAction, action
from synapse_core.context import RuntimeContext
from synapse_core.errors import FieldProblem, ValidationError
from synapse_testing.values import make_value, same_value
from synapse_testing.waiting import PATIENCE, wait_for_file

__all__ = [
    "AddAction",
    "AddLaterAction",
    "AddParams",
    "MarkParams",
    "Meltdown",
    "MuteError",
    "OvenError",
    "Sealed",
    "SealedError",
    "Unprintable",
    "adds",
    "adds_decorated",
    "adds_later",
    "appends_line",
    "changes_params",
    "describes_context",
    "describes_params",
    "dies",
    "exits",
    "forks",
    "last_returned",
    "marks",
    "prints",
    "raises",
    "raises_base_exception",
    "raises_chained",
    "raises_group",
    "raises_later",
    "raises_mute",
    "raises_params_error",
    "raises_sealed",
    "raises_stop_iteration",
    "reads_env",
    "reports",
    "reports_and_waits",
    "reports_mistakes",
    "returns_sealed",
    "returns_unprintable",
    "returns_value",
    "waits_for_file",
]

# -- adding up, written in every way ----------------------------------------------------------


class AddParams(BaseModel):
    """Two numbers; ``right`` may be left out."""

    left: int
    right: int = 1


class AddAction(BaseAction[AddParams]):
    """Adds up, as a class."""

    def execute(self) -> int:
        """Return the sum."""
        return self.params.left + self.params.right


class AddLaterAction(BaseAction[AddParams]):
    """Adds up, as a class with a coroutine."""

    async def execute(self) -> int:
        """Return the sum after a turn of the event loop."""
        await asyncio.sleep(0)
        return self.params.left + self.params.right


def adds(params: AddParams, ctx: RuntimeContext) -> int:
    """Add up, as a function whose annotation names the model."""
    return params.left + params.right


@action(params=AddParams)
def adds_decorated(params, ctx):  # type: ignore[no-untyped-def]  # the decorator names the model
    """Add up, as a function whose decorator names the model."""
    return params.left + params.right


async def adds_later(params: AddParams, ctx: RuntimeContext) -> int:
    """Add up, as a coroutine function."""
    await asyncio.sleep(0)
    return params.left + params.right


# -- values -----------------------------------------------------------------------------------

_returned: list[Any] = [None]


def last_returned() -> Any:
    """Return the very object that `returns_value` returned last in this process."""
    return _returned[0]


def returns_value(params: dict[str, Any], ctx: RuntimeContext) -> Any:
    """Return the value that ``name`` names."""
    _returned[0] = make_value(params["name"])
    return _returned[0]


def describes_params(params: dict[str, Any], ctx: RuntimeContext) -> str:
    """Return ``"same"`` where ``value`` is what ``name`` names, else what it is instead."""
    value = params["value"]
    return "same" if same_value(value, make_value(params["name"])) else f"{type(value).__name__}: {value!r}"


class Unprintable:
    """Has no text."""

    def __repr__(self) -> str:
        raise RuntimeError("there is no text for this")


class Sealed:
    """Cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def returns_unprintable(params: dict[str, Any], ctx: RuntimeContext) -> Unprintable:
    """Return something that cannot be printed."""
    return Unprintable()


def returns_sealed(params: dict[str, Any], ctx: RuntimeContext) -> Sealed:
    """Return something that cannot be pickled."""
    return Sealed()


def prints(params: dict[str, Any], ctx: RuntimeContext) -> str:
    """Print ``text`` to both streams, also past Python's, and return ``"done"``."""
    print(params["text"], flush=True)
    print(params["text"], file=sys.stderr, flush=True)
    os.write(1, f"{params['text']}\n".encode())
    return "done"


# -- errors -----------------------------------------------------------------------------------


class OvenError(Exception):
    """An error with two arguments."""


class Meltdown(BaseException):
    """An error that is no ``Exception``."""


class MuteError(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("this error has no text")


class SealedError(Exception):
    """An error that cannot be pickled, nor rebuilt from its arguments."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code
        self.lock = threading.Lock()


def raises(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Raise an ordinary error."""
    raise OvenError("too hot", 451)


def raises_chained(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Raise an error that was caused by another one."""
    try:
        _ = {}["no such shelf"]  # type: ignore[index]
    except KeyError as error:
        raise OvenError("no shelf", 404) from error


def raises_base_exception(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Raise an error that ``except Exception`` lets through."""
    raise Meltdown("core lost")


def raises_group(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Raise two errors at once."""
    raise ExceptionGroup("two ovens", [OvenError("left", 1), ValueError("right")])


def raises_sealed(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Raise an error that cannot be pickled."""
    raise SealedError("locked", code=7)


def raises_mute(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Raise an error whose text cannot be made."""
    raise MuteError


def raises_params_error(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Raise what an executor raises for bad params, though the params were good."""
    raise ValidationError("a file of the action's is wrong", problems=[FieldProblem("row", "3", "is odd", "odd")])


def raises_stop_iteration(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Raise what ends a generator."""
    raise StopIteration("nothing left")


async def raises_later(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Raise after a turn of the event loop."""
    await asyncio.sleep(0)
    raise OvenError("too late", 408)


def exits(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Call ``sys.exit`` with ``code``."""
    sys.exit(params["code"])


def dies(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """End the process that runs this, without an answer."""
    os._exit(3)


def forks(params: dict[str, Any], ctx: RuntimeContext) -> list[int]:
    """Return the statuses of forks that come out of the action: one returns, one raises, one exits with 3."""
    statuses = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            print("from the fork")
            ctx.log_message("from the fork")
            if number == 1:
                raise OvenError("in the fork")
            if number == 2:
                sys.exit(3)
            return []
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return statuses


# -- files ------------------------------------------------------------------------------------


class MarkParams(BaseModel):
    """A file to make, and a number that has a rule."""

    mark: Path
    count: int = Field(default=1, ge=1)


def marks(params: MarkParams, ctx: RuntimeContext) -> int:
    """Make the file ``mark``, to show that something has run."""
    params.mark.touch()
    return params.count


def appends_line(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Append a line to ``file``, then raise where ``fail`` is true."""
    with open(params["file"], "a", encoding="utf-8") as file:
        file.write("ran\n")
    if params.get("fail"):
        raise OvenError("after the line", 500)


def waits_for_file(params: dict[str, Any], ctx: RuntimeContext) -> Any:
    """Make the file ``started``, wait until ``release`` appears, return ``answer``.

    Gives up when it is cancelled, or after ``patience`` seconds.
    """
    Path(params["started"]).touch()
    wait_for_file(params["release"], params.get("patience", PATIENCE), lambda: ctx.is_cancelled)
    return params.get("answer")


# -- params, context and reports --------------------------------------------------------------


def changes_params(params: dict[str, Any], ctx: RuntimeContext) -> int:
    """Change its own params, as an action may."""
    params["added"] = True
    return len(params)


def describes_context(params: dict[str, Any], ctx: RuntimeContext) -> dict[str, Any]:
    """Return what the context says of this execution."""
    return {"job_id": ctx.job_id, "is_cancelled": ctx.is_cancelled, "pid": os.getpid()}


def reads_env(params: dict[str, Any], ctx: RuntimeContext) -> dict[str, Any]:
    """Return each of ``names`` as ``ctx.env`` and as the process has it."""
    return {
        "env": {name: ctx.env.get(name) for name in params["names"]},
        "process": {name: os.environ.get(name) for name in params["names"]},
        "pid": os.getpid(),
    }


def reports(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Report one of each kind."""
    ctx.log("epoch_complete", {"epoch": 1})
    ctx.set_progress(1, 4, "train")
    ctx.set_metrics({"loss": 0.5}, "train")
    ctx.log_metric("loss", "train", 0.5, epoch=1)
    ctx.log_visualization("image", "train", 0, "confusion.png")
    ctx.log_message("half way", "warning")
    ctx.log_dev_event("detail", {"batch": 7})
    ctx.logger.info("by the logger")


def reports_and_waits(params: dict[str, Any], ctx: RuntimeContext) -> None:
    """Report once, then wait until the file ``release`` appears."""
    ctx.log_message("waiting")
    wait_for_file(params["release"], params.get("patience", PATIENCE), lambda: ctx.is_cancelled)


def reports_mistakes(params: dict[str, Any], ctx: RuntimeContext) -> str:
    """Report what makes no sense, and return ``"done"`` all the same."""
    ctx.set_progress(0, 0)
    ctx.set_progress(5, 2, "train")
    ctx.log("model", {"weights": Sealed()})
    return "done"
