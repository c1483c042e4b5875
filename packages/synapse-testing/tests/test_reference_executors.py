"""The kit's own executors keep every promise."""

from collections.abc import Callable
from typing import Any

import pytest

from synapse_testing import ExecutorConformance, InMemoryExecutor, InMemoryJobExecutor, JobBook


class TestInMemoryExecutor(ExecutorConformance):
    capabilities = InMemoryExecutor.capabilities

    @pytest.fixture
    def executor(self) -> InMemoryExecutor:
        return InMemoryExecutor()


class TestInMemoryJobExecutor(ExecutorConformance):
    capabilities = InMemoryJobExecutor.capabilities

    @pytest.fixture
    def book(self) -> JobBook:
        return JobBook()

    @pytest.fixture
    def executor(self, book: JobBook) -> InMemoryJobExecutor:
        return InMemoryJobExecutor(book=book)

    @pytest.fixture
    def make_executor(self, book: JobBook) -> Callable[..., Any]:
        return lambda **options: InMemoryJobExecutor(**options, book=book)
