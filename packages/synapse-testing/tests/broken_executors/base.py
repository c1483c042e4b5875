"""What the broken executors have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from synapse_testing import InMemoryExecutor

ExecutorT = TypeVar("ExecutorT", bound=type)

BROKEN: dict[str, tuple[type, str]] = {}


def breaks(promise: str) -> Callable[[ExecutorT], ExecutorT]:
    def decorate(executor: ExecutorT) -> ExecutorT:
        BROKEN[executor.__name__] = (executor, promise)
        return executor

    return decorate


class Meddler(InMemoryExecutor):
    """Changes what came back, as data, before the caller gets it."""

    def meddle(self, answer: dict[str, Any]) -> None:
        raise NotImplementedError

    def _receive(self, answer: str) -> Any:
        data = json.loads(answer)
        self.meddle(data)
        return super()._receive(json.dumps(data))


class Replaced:
    """An action with another call."""

    def __init__(self, action: Any, call: Any) -> None:
        self._action = action
        self.call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._action, name)


class Unvalidated(Replaced):
    """An action that takes its params as they are the first time, on the caller's side."""

    def __init__(self, action: Any) -> None:
        super().__init__(action, action.call)

    def validate(self, params: Any) -> Any:
        return params
