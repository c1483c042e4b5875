"""`synapse plugin run` in a mode that submits: it follows the job of any backend, and can leave it alone.

The backends are third-party ones, installed in the test: jobs in memory, by `synapse_testing`.
"""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest

JOBS = """
    import os
    import sys
    from dataclasses import replace
    from pathlib import Path

    from synapse_testing import InMemoryJobExecutor, JobBook

    CLAIMED = InMemoryJobExecutor.capabilities


    class Logged(InMemoryJobExecutor):
        '''Can be followed by its logs only.'''

        def shutdown(self):
            if "CLOSED" in os.environ:
                Path(os.environ["CLOSED"]).touch()


    class Lasting(Logged):
        '''Says that its jobs go on without this process.'''

        capabilities = replace(CLAIMED, detached=True)


    class Followed(Lasting):
        '''Shows what a job reports by itself.'''

        def follow(self, job_id, timeout=None):
            print("printed by the job")
            sys.stderr.write(f"following {job_id}\\n")
            self._known(job_id).ended.wait()


    class Mute(InMemoryJobExecutor):
        capabilities = replace(CLAIMED, logs=False)


    class Full(InMemoryJobExecutor):
        '''Somebody has the id 'taken' already.'''

        def __init__(self, env=None, job_id=None):
            super().__init__(env, job_id)
            self._book.add("taken")


    class Broken(InMemoryJobExecutor):
        def get_result(self, job_id, timeout=None):
            raise RuntimeError("the queue is on fire")


    class Cancelled(Mute):
        def get_result(self, job_id, timeout=None):
            self.cancel(job_id)
            return super().get_result(job_id, timeout)
"""
PLUGIN = """
    import acme_jobs
    from synapse_core.plugins.descriptions import ExecutorDescription
    from synapse_core.plugins.hookspecs import hookimpl

    @hookimpl
    def synapse_executors():
        return [
            ExecutorDescription(
                name=name.lower(), target=f"acme_jobs:{name}", run_with="submit",
                capabilities=getattr(acme_jobs, name).capabilities,
            )
            for name in ("Logged", "Lasting", "Followed", "Mute", "Full", "Broken", "Cancelled")
        ]
"""


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that has the backend installed."""
    folder = tmp_path_factory.mktemp("site")
    metadata = folder / "acme-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text("[synapse.backends]\nacme = acme_plugin\n")
    (folder / "acme_jobs.py").write_text(textwrap.dedent(JOBS))
    (folder / "acme_plugin.py").write_text(textwrap.dedent(PLUGIN))
    return {"PYTHONPATH": str(folder)}


@pytest.fixture
def run(synapse: Any, plugin: Path, acme: dict[str, str]) -> Any:
    """A function that runs an action of the plugin in a mode of the backend."""

    def run(mode: str, action: str, *more: str, **env: str) -> "subprocess.CompletedProcess[str]":
        done: subprocess.CompletedProcess[str] = synapse(
            "plugin", "run", action, "--path", str(plugin), "--mode", mode, *more, env={**acme, **env}
        )
        return done

    return run


# -- following --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["logged", "lasting", "followed", "mute"])
def test_the_job_is_followed_and_its_result_is_printed(run: Any, mode: str) -> None:
    done = run(mode, "add", "--set", "left=2", "--set", "right=5", "--job-id", "mine")
    printed = "printed by the job\n" if mode == "followed" else ""
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(printed)
    assert json.loads(done.stdout.removeprefix(printed)) == {"sum": 7, "scale": {}}
    assert done.stderr.splitlines()[0] == "job mine"


def test_without_an_id_the_job_gets_one_that_is_said_first(run: Any) -> None:
    assert re.fullmatch(r"job job-\w+", run("logged", "text").stderr.splitlines()[0])


def test_an_executor_that_cannot_show_reports_has_its_log_shown(run: Any) -> None:
    done = run("logged", "reports", "--job-id", "mine")
    kinds = [json.loads(line)["kind"] for line in done.stderr.splitlines() if line.startswith("{")]
    assert {"log", "progress", "metrics"} <= set(kinds), done.stderr


def test_an_executor_that_shows_reports_is_asked_to(run: Any) -> None:
    done = run("followed", "reports", "--job-id", "mine")
    assert "following mine" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("{")]


def test_an_executor_without_logs_is_only_waited_for(run: Any) -> None:
    done = run("mute", "text", "--job-id", "mine")
    assert (done.returncode, done.stdout, done.stderr) == (0, "just text\n", "job mine\n")


def test_json_holds_one_document_with_the_job_s_id(run: Any) -> None:
    done = run("followed", "add", "--set", "left=2", "--job-id", "mine", "--json")
    assert json.loads(done.stdout) == {
        "action": "add",
        "mode": "followed",
        "job_id": "mine",
        "status": "succeeded",
        "result": {"sum": 3, "scale": {}},
    }
    assert "printed by the job" in done.stderr


def test_no_command_is_suggested_that_does_not_know_the_job(run: Any) -> None:
    """`synapse job` is that of another package, and looks for jobs on Ray."""
    assert "synapse job" not in run("lasting", "text").stderr


# -- leaving it alone -------------------------------------------------------------------------


def test_detached_the_id_is_all_there_is_on_stdout(run: Any) -> None:
    done = run("lasting", "text", "--detach", "--job-id", "mine")
    assert (done.returncode, done.stdout) == (0, "mine\n")
    assert "just text" not in done.stdout + done.stderr


def test_detached_in_json_the_document_says_submitted(run: Any) -> None:
    done = run("lasting", "text", "--detach", "--job-id", "mine", "--json")
    assert json.loads(done.stdout) == {"action": "text", "mode": "lasting", "job_id": "mine", "status": "submitted"}


@pytest.mark.parametrize(
    ("mode", "why"), [("local", "which submits no job"), ("logged", "whose jobs end with this process")]
)
def test_detaching_from_what_ends_with_this_process_is_a_usage_error(run: Any, mode: str, why: str) -> None:
    done = run(mode, "text", "--detach")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--detach has no meaning with mode '{mode}', {why}" in done.stderr


def test_an_id_for_a_mode_without_any_is_a_usage_error(run: Any) -> None:
    done = run("local", "text", "--start-ray")
    assert done.returncode == 2
    assert "--start-ray has no meaning with mode 'local'" in done.stderr
    assert "job" in done.stderr


# -- failures ---------------------------------------------------------------------------------


def said(text: str) -> list[str]:
    """Return what is said of a failure, without the job's id and what the action reports before it fails."""
    lines = [line for line in text.splitlines() if not line.startswith("job ") and "about to fail" not in line]
    return [re.sub(r"0x[0-9a-f]+", "0x…", re.sub(r"^[\d:]+ (?=error: )", "", line)) for line in lines]


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("fail", ["--no-debug"]),
        ("leave", ["--no-debug"]),
        ("base", ["--no-debug"]),
        ("group", ["--no-debug"]),
        ("mute", ["--no-debug"]),
        ("unpicklable", ["--no-debug"]),
        ("add", ["--set", "left=-1", "--set", "rigth=1"]),
        ("add", []),
        ("ad", []),
        ("broken", []),
        ("absent", []),
    ],
)
def test_a_failure_reads_and_ends_as_in_mode_local(run: Any, action: str, more: list[str]) -> None:
    here, there = run("local", action, *more), run("mute", action, *more)
    assert here.returncode == there.returncode != 0
    assert said(there.stderr) == said(here.stderr) != []
    assert here.stdout == there.stdout == ""


def test_a_failure_shows_the_action_s_own_traceback(run: Any, plugin: Path) -> None:
    done = run("mute", "fail")
    assert done.returncode == 1
    assert str(plugin / "plugin" / "actions.py") in done.stderr
    assert done.stderr.rstrip().endswith("ValueError: the reason")


def test_params_that_do_not_fit_are_found_before_there_is_a_job(run: Any) -> None:
    done = run("logged", "add", "--set", "left=-1", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"], "job_id" in document) == (3, "failed", False)
    assert "job " not in done.stderr.splitlines()[0]


def test_a_failed_job_in_json_names_the_job_and_the_error(run: Any) -> None:
    done = run("logged", "fail", "--job-id", "mine", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"], document["job_id"]) == (1, "failed", "mine")
    assert document["error"]["original_type"] == "ValueError"


def test_a_taken_id_is_an_error_that_names_it(run: Any) -> None:
    done = run("full", "text", "--job-id", "taken", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["error"]["type"], "job_id" in document) == (1, "JobExistsError", False)
    assert "'taken'" in done.stderr


def test_a_job_that_somebody_cancels_ends_with_130(run: Any, tmp_path: Path) -> None:
    params = ["--set", f"started={tmp_path / 'started'}", "--set", f"cleaned={tmp_path / 'cleaned'}"]
    done = run("cancelled", "waits", *params, "--job-id", "mine")
    assert done.returncode == 130
    assert "'mine' was cancelled" in done.stderr


def test_an_executor_that_fails_by_itself_is_named(run: Any) -> None:
    done = run("broken", "text")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "mode 'broken' failed by itself: RuntimeError: the queue is on fire" in done.stderr


@pytest.mark.parametrize(("action", "code"), [("text", 0), ("fail", 1)])
def test_the_executor_is_told_to_let_go_of_what_it_holds(run: Any, tmp_path: Path, action: str, code: int) -> None:
    done = run("logged", action, CLOSED=str(tmp_path / "closed"))
    assert (done.returncode, (tmp_path / "closed").exists()) == (code, True)


# -- Ctrl-C -----------------------------------------------------------------------------------


@pytest.fixture
def interrupted(plugin: Path, acme: dict[str, str], tmp_path: Path) -> Any:
    """A function that presses Ctrl-C on a terminal while a job runs; returns the exit code and what was shown."""

    def press(mode: str, *more: str) -> tuple[int, str]:
        started, cleaned = tmp_path / "started", tmp_path / "cleaned"
        arguments = ["--set", f"started={started}", "--set", f"cleaned={cleaned}", "--job-id", "mine", *more]
        child = pexpect.spawn(
            sys.executable,
            ["-m", "synapse_cli", "plugin", "run", "waits", "--path", str(plugin), "--mode", mode, *arguments],
            env={**os.environ, **acme, "TERM": "xterm", "NO_COLOR": "1"},
            encoding="utf-8",
            timeout=60,
            dimensions=(24, 200),
            # A background job of a shell ignores Ctrl-C, and its children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not started.exists():
            assert child.isalive()
            time.sleep(0.02)
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
        return child.exitstatus, child.before

    return press


def test_ctrl_c_leaves_a_job_alone_that_can_do_without_us(interrupted: Any) -> None:
    code, shown = interrupted("lasting")
    assert code == 130
    assert "detached: job mine goes on" in shown
    assert "interrupted" not in shown
    assert "Traceback" not in shown


def test_ctrl_c_in_json_gives_the_document_of_a_detached_job(interrupted: Any) -> None:
    code, shown = interrupted("lasting", "--json")
    assert code == 130
    assert json.loads(shown[shown.index("{") :]) == {
        "action": "waits",
        "mode": "lasting",
        "job_id": "mine",
        "status": "submitted",
    }


def test_ctrl_c_stops_a_job_that_would_end_with_us(interrupted: Any) -> None:
    code, shown = interrupted("mute")
    assert code == 130
    assert "detached" not in shown
    assert "job mine was stopped" in shown
