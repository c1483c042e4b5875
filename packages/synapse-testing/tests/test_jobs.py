"""What the conformance kit cannot ask of every job executor: the in-memory one's own rules, and one that is detached."""

import pytest

from synapse_core.errors import JobNotFoundError, WorkerLostError
from synapse_testing import InMemoryJobExecutor, actions

pytest_plugins = ["pytester"]


class WithoutAWorker(InMemoryJobExecutor):
    error: type[BaseException] = SystemExit

    def _work(self, *args):
        raise self.error("no worker")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, OSError])
def test_a_job_whose_worker_ends_without_an_answer_has_failed(error: type[BaseException]) -> None:
    executor = WithoutAWorker()
    executor.error = error
    job_id = executor.submit(actions.adds, {"left": 1})
    for ask in (executor.wait, executor.get_result):
        with pytest.raises(WorkerLostError, match=error.__name__) as caught:
            ask(job_id, 10)
        assert caught.value.details == {"action": "adds", "job_id": job_id}
        assert "no worker" in caught.value.remote_traceback
    assert executor.get_status(job_id) == "FAILED"


def test_its_jobs_are_not_claimed_to_outlive_the_process() -> None:
    assert InMemoryJobExecutor.capabilities.jobs
    assert not InMemoryJobExecutor.capabilities.detached


def test_stop_is_another_name_of_cancel() -> None:
    executor = InMemoryJobExecutor()
    job_id = executor.submit(actions.adds, {"left": 1})
    executor.wait(job_id)
    assert executor.stop(job_id) is False


def test_the_logs_of_an_unknown_job_are_refused_at_once() -> None:
    with pytest.raises(JobNotFoundError):
        InMemoryJobExecutor().stream_logs("nobody")


def test_a_detached_executor_keeps_the_promise(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        folder_jobs="""
        import json, subprocess, sys
        from pathlib import Path
        from synapse_core import Capabilities, StatedCapabilities
        from synapse_testing import InMemoryExecutor
        from synapse_testing.waiting import wait_for_file

        class FolderJobs(StatedCapabilities):
            capabilities = Capabilities(jobs=True, detached=True)

            def __init__(self, folder):
                self.folder = Path(folder)

            def submit(self, entrypoint, params, *, job_id):
                command = [sys.executable, __file__, self.folder / job_id, entrypoint, json.dumps(params)]
                subprocess.Popen(command, start_new_session=True)
                return job_id

            def get_result(self, job_id, timeout=None):
                wait_for_file(self.folder / job_id, timeout)
                return json.loads((self.folder / job_id).read_text())

        if __name__ == "__main__":
            path, entrypoint, params = sys.argv[1:]
            result = InMemoryExecutor().execute(entrypoint, json.loads(params))
            Path(path + ".new").write_text(json.dumps(result))
            Path(path + ".new").rename(path)
        """,
        test_folder_jobs=f"""
        import pytest
        from folder_jobs import FolderJobs
        from synapse_testing import ExecutorConformance

        class TestFolderJobs(ExecutorConformance):
            options_elsewhere = {{"folder": {str(pytester.path)!r}}}

            @pytest.fixture
            def executor(self):
                return FolderJobs(**self.options_elsewhere)
        """,
    )
    pytester.syspathinsert()
    result = pytester.runpytest_subprocess("-k", "outlives", "-o", f"pythonpath={pytester.path}")
    result.assert_outcomes(passed=1)
