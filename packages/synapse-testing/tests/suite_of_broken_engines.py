"""Run by test_broken_engines.py in a pytest of its own: the suite, once for each broken engine."""

from typing import Any

import pytest
from broken_engines import BROKEN

from synapse_testing.conformance.engine import RecordEngineConformance


def _suite(kind: type) -> type:
    class Suite(RecordEngineConformance):
        patience = 1.0

        @pytest.fixture
        def engine(self) -> Any:
            return kind()

    return Suite


for _name, (_kind, _) in BROKEN.items():
    globals()[f"Test{_name}"] = _suite(_kind)


class TestWithoutAnEngine(RecordEngineConformance):
    pass
