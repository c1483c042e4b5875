"""What an executor says when it is asked for something that it does not have."""

from dataclasses import fields

import pytest

from synapse_core.errors import CapabilityError
from synapse_core.ports.executor import ALIASES, OPERATIONS, Capabilities, ClosableExecutor, StatedCapabilities


class Claims(StatedCapabilities):
    capabilities = Capabilities(returns_result=True, logs=True, cancel=True)

    def cancel(self, job_id: str) -> str:
        return f"cancelled {job_id}"


def test_what_is_not_claimed_says_so() -> None:
    with pytest.raises(
        CapabilityError, match=r"Claims cannot submit\(\): it does not claim 'jobs'. It claims: returns_"
    ):
        _ = Claims().submit


def test_what_is_claimed_and_missing_is_the_executors_fault() -> None:
    assert not hasattr(Claims(), "get_logs")
    with pytest.raises(
        CapabilityError, match=r"Claims claims 'logs' and has no get_logs\(\): that is a fault of Claims"
    ):
        _ = Claims().get_logs


def test_another_name_means_the_operation() -> None:
    assert Claims().stop("j-1") == "cancelled j-1"


def test_what_is_no_operation_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = Claims().nothing


def test_the_table_names_capabilities() -> None:
    assert set(OPERATIONS.values()) <= {field.name for field in fields(Capabilities)}
    assert {*ALIASES, *ALIASES.values()} <= OPERATIONS.keys()


def test_whoever_states_capabilities_can_be_shut_down() -> None:
    assert isinstance(Claims(), ClosableExecutor)
    Claims().shutdown()
