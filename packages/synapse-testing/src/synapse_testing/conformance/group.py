"""What every group of promises has: the fixtures, and marks that say when a promise applies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import pytest

from synapse_core.errors import ExecutionError
from synapse_core.ports.executor import Capabilities, ClosableExecutor
from synapse_testing.waiting import PATIENCE

__all__ = ["PromiseGroup", "rests_on", "where_claimed", "where_not_claimed", "why_not"]

TestT = TypeVar("TestT", bound=Callable[..., Any])

_MISSING = """\
{suite} has no executor to test. Give it one:

    class {suite}(ExecutorConformance):
        @pytest.fixture
        def executor(self):
            return YourExecutor()
"""


def _mark(attribute: str, names: tuple[str, ...]) -> Callable[[TestT], TestT]:
    def decorate(test: TestT) -> TestT:
        setattr(test, attribute, names)
        return test

    return decorate


def where_claimed(*capabilities: str) -> Callable[[TestT], TestT]:
    """Mark a promise that applies to executors which claim all of `capabilities`."""
    return _mark("where_claimed", capabilities)


def where_not_claimed(*capabilities: str) -> Callable[[TestT], TestT]:
    """Mark a promise that applies to executors which claim none of `capabilities`."""
    return _mark("where_not_claimed", capabilities)


def rests_on(*promises: str) -> Callable[[TestT], TestT]:
    """Mark a promise that is skipped once one of `promises` has failed, since the fault is the same."""
    return _mark("rests_on", promises)


def why_not(promise: Callable[..., Any], claims: Capabilities) -> str:
    """Say why a promise does not apply to an executor with these claims; empty where it does."""
    for claim in getattr(promise, "where_claimed", ()):
        if not getattr(claims, claim):
            return f"does not claim {claim!r}"
    for claim in getattr(promise, "where_not_claimed", ()):
        if getattr(claims, claim):
            return f"claims {claim!r}"
    return ""


class PromiseGroup:
    """Base of the groups. A suite gives the `executor`; the rest may be left as it is.

    Attributes:
        patience: Seconds after which something that should happen counts as broken.
        options_elsewhere: Arguments of the constructor, JSON types, with which another process makes such an
            executor. Asked for only where ``detached`` is claimed.
        capabilities: What the executor claims, where the suite states it too: promises that do not
            apply are then deselected rather than skipped, for runs in which nothing may be skipped.
    """

    is_conformance_suite: ClassVar[bool] = True
    patience: ClassVar[float] = PATIENCE
    options_elsewhere: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    capabilities: ClassVar[Capabilities | None] = None

    # Not an abstract method: pytest passes over classes that are abstract, and the suite would be
    # green without having run.
    @pytest.fixture
    def executor(self) -> Any:
        """The executor under test; every suite gives its own."""
        pytest.fail(_MISSING.format(suite=type(self).__name__), pytrace=False)

    @pytest.fixture
    def make_executor(self, executor: Any) -> Iterator[Callable[..., Any]]:
        """Makes further executors of the same kind with ``env=``, ``job_id=`` or ``sink=``; shut down after the test.

        Override it where the constructor needs more than these.
        """
        made = []

        def make(**options: Any) -> Any:
            made.append(type(executor)(**options))
            return made[-1]

        yield make
        for other in made:
            if isinstance(other, ClosableExecutor):
                other.shutdown()

    @pytest.fixture(autouse=True)
    def _does_not_apply(self, request: pytest.FixtureRequest, executor: Any) -> str:
        """Why the promise does not apply to this executor; empty where it does. The pytest plugin skips it then."""
        claims = getattr(executor, "capabilities", None)
        name = type(executor).__name__
        if not isinstance(claims, Capabilities):
            stated = "test_capabilities_are_stated"
            return "" if request.function.__name__ == stated else f"rests on {stated}, which is broken"
        reason = why_not(request.function, claims)
        return f"{name} {reason}" if reason else ""

    def run(self, executor: Any, action: Any, params: dict[str, Any] | None = None) -> Any:
        """Run an action in whichever way the executor claims, and return its result."""
        params = {} if params is None else params
        if executor.capabilities.returns_result:
            return executor.execute(action, params)
        return executor.get_result(executor.submit(action, params), self.patience)

    def failure(self, executor: Any, action: Any, params: dict[str, Any] | None = None) -> ExecutionError:
        """Run an action that fails, and return the error that came of it."""
        with pytest.raises(ExecutionError) as caught:
            self.run(executor, action, params)
        return caught.value
