"""What engines with workers on other machines share: work that is loaded there, and answers in place of errors."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Literal, TypeAlias

from synapse_core.engines import sendable, worker_scope
from synapse_core.errors import BackendError
from synapse_core.out_of_band import pickled
from synapse_core.safe_text import safe_str

__all__ = ["Answer", "UnloadableError", "answer", "entered", "loaded", "missing_module", "unloadable"]

Answer: TypeAlias = "tuple[Literal['result', 'error', 'unloadable'], Any]"
"""The result as `pickled` makes it; the pickled error of the work; or why the work cannot be loaded here, as a pair of
texts: the module that is missing, or empty, and the error."""

_MISSING = re.compile(r"No module named '?([\w.]+)")


class UnloadableError(Exception):
    """The work needs what its worker does not have."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.module = (isinstance(error, ModuleNotFoundError) and error.name) or ""
        self.text = f"{type(error).__name__}: {safe_str(error)}"


def loaded(work: bytes) -> Any:
    """Return work that was pickled.

    Raises:
        UnloadableError: It needs what is not here.
    """
    try:
        return pickle.loads(work)
    except Exception as error:
        raise UnloadableError(error) from error


def entered(stack: ExitStack, work: Any) -> Callable[[Any], Any]:
    """Enter the scope of `work`, and return what to call with chunks.

    Raises:
        UnloadableError: What the work brings along needs what is not here.
    """
    try:
        apply: Callable[[Any], Any] = stack.enter_context(worker_scope(work))
    except ModuleNotFoundError as error:
        raise UnloadableError(error) from error
    return apply


def answer(do: Callable[[], Any], dumps: Callable[..., bytes]) -> Answer:
    """Return what `do` returns or raises; `dumps` pickles results."""
    try:
        return "result", pickled(do(), dumps)
    except UnloadableError as error:
        return "unloadable", (error.module, error.text)
    except BaseException as error:  # `sys.exit()` in a hook, too, ends the run and not the worker
        return "error", pickle.dumps(sendable(error))


def missing_module(error: BaseException) -> str | None:
    """Return the module that a worker did not find, where an engine's own error says so."""
    found = _MISSING.search(safe_str(error))
    return found[1] if found else None


def unloadable(module: str, text: str, *, whose: str, where: str) -> BackendError:
    """Return the error to raise where work cannot be loaded.

    Args:
        module: That is not there; empty where it is something else.
        text: What it is.
        whose: Python lacks the module.
        where: To install it.
    """
    if not module:
        return BackendError(f"the work cannot be loaded on a worker: {text}. Install the same versions on both sides")
    name = module.partition(".")[0]
    ours = f": pip install {name.replace('_', '-')}" if name.startswith("synapse_") else ""
    return BackendError(
        f"{whose} has no module {module!r}, which the work needs. Install it {where}"
        f"{ours or '; a module of your own has to be importable there, too'}"
    )
