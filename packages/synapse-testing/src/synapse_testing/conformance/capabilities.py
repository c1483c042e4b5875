"""Promises about what an executor claims to be able to do."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from synapse_core.errors import BackendError, CapabilityError
from synapse_core.plugins.descriptions import ExecutorDescription
from synapse_core.plugins.registry import registry
from synapse_core.ports.executor import ALIASES, OPERATIONS, Capabilities, ExecutorProtocol
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, where_claimed, where_not_claimed

__all__ = ["CapabilityPromises"]

# What the operations that take an action would take; the others take a job id.
_ACTION: tuple[Any, ...] = (actions.AddAction, {"left": 1})
_ARGUMENTS: dict[str, tuple[Any, ...]] = {"execute": _ACTION, "submit": _ACTION}


class CapabilityPromises(PromiseGroup):
    """Capabilities are stated, and a statement is a promise."""

    def test_capabilities_are_stated(self, executor: Any) -> None:
        """``capabilities`` is a `Capabilities`, and claims that results can be had in at least one way."""
        assert isinstance(executor.capabilities, Capabilities)
        assert executor.capabilities.returns_result or executor.capabilities.jobs
        assert executor.capabilities.jobs or not executor.capabilities.detached, "what is detached has a job id"
        assert self.capabilities in (None, executor.capabilities), "the suite states other capabilities"

    def test_the_executor_has_the_ports_methods(self, executor: Any) -> None:
        """The executor has the methods of `ExecutorProtocol`."""
        assert isinstance(executor, ExecutorProtocol) or not executor.capabilities.returns_result

    def test_what_is_not_claimed_raises_at_once(self, executor: Any) -> None:
        """An operation that is not claimed raises `CapabilityError` at once, naming the operation."""
        for operation, claim in OPERATIONS.items():
            if not getattr(executor.capabilities, claim):
                with pytest.raises(CapabilityError) as caught:
                    getattr(executor, operation)(*_ARGUMENTS.get(operation, ("some-job",)))
                assert operation in str(caught.value)

    def test_what_is_claimed_is_there(self, executor: Any) -> None:
        """Every operation of what is claimed is there."""
        missing = [
            operation
            for operation, claim in OPERATIONS.items()
            if getattr(executor.capabilities, claim) and operation not in ALIASES and not hasattr(executor, operation)
        ]
        assert not missing, f"claimed and missing: {', '.join(missing)}"

    def test_shutdown_may_be_called_twice(self, make_executor: Callable[..., Any]) -> None:
        """There is a ``shutdown``, which does nothing where the executor holds nothing, or has been shut down."""
        executor = make_executor()
        for _ in range(2):
            executor.shutdown()

    def test_the_registered_description_claims_the_same(self, executor: Any) -> None:
        """Where the executor is registered, its description claims what the executor claims."""
        for description in _descriptions(type(executor)):
            assert description.capabilities == executor.capabilities

    def test_the_registered_options_are_arguments(self, executor: Any) -> None:
        """Where the executor is registered, the options of its description are arguments of its constructor."""
        parameters = inspect.signature(type(executor)).parameters
        for description in _descriptions(type(executor)):
            assert set(description.options) <= parameters.keys()

    @where_claimed("gpu")
    def test_gpus_can_be_asked_for(self, executor: Any) -> None:
        """Where GPUs are claimed, the constructor has ``num_gpus``."""
        assert "num_gpus" in inspect.signature(type(executor)).parameters

    @where_not_claimed("gpu")
    def test_gpus_are_refused_where_they_are_not_claimed(self, make_executor: Callable[..., Any]) -> None:
        """Where GPUs are not claimed, ``num_gpus=`` is refused at once."""
        with pytest.raises((CapabilityError, TypeError)):
            make_executor(num_gpus=1)


def _descriptions(kind: type) -> Iterator[ExecutorDescription]:
    """Yield the registered descriptions of an executor class; none where it is not registered."""
    for description in registry.executors():
        if description.target.rpartition(":")[2] != kind.__qualname__:
            continue
        with contextlib.suppress(BackendError):  # another package's class of the same name
            if registry.load(description) is kind:
                yield description
