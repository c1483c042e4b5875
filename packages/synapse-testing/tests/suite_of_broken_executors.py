"""Run by test_broken_executors.py in a pytest of its own: the suite, once for each broken executor."""

from typing import Any

import pytest
from broken_executors import BROKEN

from synapse_testing import ExecutorConformance, InMemoryJobExecutor, JobBook


def _suite(kind: type) -> type:
    class Suite(ExecutorConformance):
        patience = 1.0

        @pytest.fixture
        def book(self) -> JobBook:
            return JobBook()

        @pytest.fixture
        def options(self, book: JobBook) -> dict[str, Any]:
            return {"book": book} if issubclass(kind, InMemoryJobExecutor) else {}

        @pytest.fixture
        def executor(self, options: dict[str, Any]) -> Any:
            return kind(**options)

        @pytest.fixture
        def make_executor(self, options: dict[str, Any]) -> Any:
            return lambda **more: kind(**more, **options)

    return Suite


for _name, (_kind, _) in BROKEN.items():
    globals()[f"Test{_name}"] = _suite(_kind)


class TestWithoutAnExecutor(ExecutorConformance):
    pass
