import pytest
from synapse_testing import ExecutorConformance

from synapse_subprocess.executor import SubprocessExecutor


class TestSubprocessExecutor(ExecutorConformance):
    @pytest.fixture
    def executor(self):
        return SubprocessExecutor()
