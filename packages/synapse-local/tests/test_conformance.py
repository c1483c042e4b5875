"""The local executor keeps every promise of the executor contract."""

import pytest

from synapse_local import LocalExecutor
from synapse_testing import ExecutorConformance


class TestLocalExecutor(ExecutorConformance):
    capabilities = LocalExecutor.capabilities

    @pytest.fixture
    def executor(self) -> LocalExecutor:
        return LocalExecutor()
