"""The conformance suite of executors."""

from __future__ import annotations

from synapse_testing.conformance.acceptance import AcceptancePromises
from synapse_testing.conformance.capabilities import CapabilityPromises
from synapse_testing.conformance.concurrency import ConcurrencyPromises
from synapse_testing.conformance.context import ContextPromises
from synapse_testing.conformance.coroutines import CoroutinePromises
from synapse_testing.conformance.errors import ErrorPromises
from synapse_testing.conformance.events import EventPromises
from synapse_testing.conformance.hygiene import HygienePromises
from synapse_testing.conformance.jobs import JobPromises
from synapse_testing.conformance.params import ParamsPromises
from synapse_testing.conformance.results import ResultPromises

__all__ = ["ExecutorConformance"]


# pytest runs the groups from the last to the first, and so meets a promise before those that rest on it.
class ExecutorConformance(
    HygienePromises,
    JobPromises,
    ConcurrencyPromises,
    EventPromises,
    CoroutinePromises,
    ContextPromises,
    AcceptancePromises,
    ErrorPromises,
    ParamsPromises,
    ResultPromises,
    CapabilityPromises,
):
    """Every promise of an executor, one test each. Subclass it and give one ``executor`` fixture.

    The actions that it runs are those of `synapse_testing.actions`; executor and worker need to share
    a disk. What the executor claims in ``capabilities`` decides which promises apply.

    Example:
        ::

            class TestMyExecutor(ExecutorConformance):
                @pytest.fixture
                def executor(self):
                    return MyExecutor()
    """
