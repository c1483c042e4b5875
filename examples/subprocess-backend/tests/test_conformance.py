import pytest
from synapse_subprocess.executor import SubprocessExecutor
from synapse_testing import ExecutorConformance


class TestSubprocessExecutor(ExecutorConformance):
    @pytest.fixture
    def executor(self):
        return SubprocessExecutor()
