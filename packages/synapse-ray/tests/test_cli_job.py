"""The command line on a real cluster: a Ray mode gives what `local` gives, and `synapse job` finds every job again."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pexpect
import pytest
from pexpect import fdpexpect

from synapse_testing.ray_cluster import RayCluster
from synapse_testing.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.slow]

MODES = ["task", "job", "ray-job"]
JOB_MODES = ["job", "ray-job"]
ONE_IN_CI = ["job", pytest.param("ray-job", marks=pytest.mark.campaign)]
PATIENCE = 120.0

ACTIONS = """
import os
import sys
import time
from pathlib import Path

from pydantic import BaseModel, Field

from synapse_core import BaseAction


class AddParams(BaseModel):
    left: int = Field(ge=0)
    right: int = 1


class AddAction(BaseAction[AddParams]):
    def execute(self):
        print("adding up")
        return {"sum": self.params.left + self.params.right}


def reports(params, ctx):
    print("on stdout")
    print("on stderr", file=sys.stderr)
    ctx.log("epoch", {"loss": 0.5})
    ctx.set_progress(1, 2, "work")
    ctx.set_progress(2, 2, "work")
    ctx.set_metrics({"accuracy": 0.9}, "work")
    ctx.log_message("careful", "warning")
    ctx.log_dev_event("for developers")
    print("on stdout again")
    return "done"


def fail(params, ctx):
    print("about to fail")
    raise ValueError("the reason")


def settings(params, ctx):
    found = {key: ctx.env.get(key) for key in ("GREETING", "LAYER", "TOKEN")}
    return {**found, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "job_id": ctx.job_id, "home": os.getcwd()}


class Unsendable:
    def __init__(self):
        self.file = open(os.devnull)

    def __repr__(self):
        return "<unsendable>"


def unsendable(params, ctx):
    return Unsendable()


def waits(params, ctx):
    print("it has begun")
    Path(params["started"]).touch()
    while not Path(params["release"]).exists():
        time.sleep(0.02)
    print("it is over")
    return {"waited": True}
"""


def on_a_terminal(*arguments: str, env: dict[str, str]) -> tuple[Any, "subprocess.Popen[bytes]"]:
    """Start ``synapse`` on a terminal of its own.

    Not by `pexpect.spawn`: the fork of a process that is connected to Ray stops gRPC in it for a minute.
    """
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    process = subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-m", "synapse_cli", *arguments],
        env={**os.environ, **env, "TERM": "xterm", "NO_COLOR": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    return fdpexpect.fdspawn(ours, encoding="utf-8", timeout=PATIENCE), process


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin's folder; one for all tests, so that it is uploaded once."""
    folder = tmp_path_factory.mktemp("plugins") / "shop"
    (folder / "plugin").mkdir(parents=True)
    (folder / "plugin" / "actions.py").write_text(ACTIONS)
    (folder / "config.yaml").write_text(
        textwrap.dedent("""\
        code: shop
        env: {GREETING: from-config, LAYER: config}
        actions:
          add: plugin.actions:AddAction
          reports: plugin.actions:reports
          fail: plugin.actions:fail
          settings: plugin.actions:settings
          unsendable: plugin.actions:unsendable
          waits: plugin.actions:waits
        """)
    )
    return folder


@pytest.fixture
def synapse(ray_cluster: RayCluster, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """A function that runs ``synapse`` in a process of its own, which finds the cluster in its environment."""

    def run(*arguments: str, cwd: Path | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "synapse_cli", *arguments],
            cwd=cwd or tmp_path,
            env={**os.environ, **ray_cluster.environment, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def local(shop: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """A function that runs an action in mode local, each command line once."""
    known: dict[tuple[str, ...], subprocess.CompletedProcess[str]] = {}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        if arguments not in known:
            command = [sys.executable, "-m", "synapse_cli", "plugin", "run", *arguments, "--path", str(shop)]
            known[arguments] = subprocess.run(
                [*command, "--mode", "local"], capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        return known[arguments]

    return run


def said(text: str) -> list[str]:
    """Return the lines of stderr without what only a mode that submits says, clocks, and where the plugin lies."""
    lines = [line for line in text.splitlines() if not re.match(r"job \S+$|  synapse job ", line)]
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines]
    return [re.sub(r'File ".*?/plugin/actions.py"', 'File "actions.py"', line) for line in lines]


@pytest.fixture
def submitted(connected_ray: ModuleType, shop: Path) -> Iterator[Callable[..., str]]:
    """A function that submits an action from this process and returns the job's id."""
    from synapse_core.runner import prepare_run

    made = []

    def submit(mode: str, action: str, params: dict[str, Any] | None = None) -> str:
        job_id = f"{mode}-{action}-{uuid.uuid4().hex[:8]}"
        prepared = prepare_run(shop, action, params, mode=mode, job_id=job_id)
        made.append(prepared.executor)
        assert prepared.start() == job_id
        return job_id

    yield submit
    for executor in made:
        executor.shutdown()


# -- what local gives ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_result_prints_logs_and_progress_are_those_of_local(mode: str, synapse: Any, local: Any, shop: Path) -> None:
    here = local("reports")
    there = synapse("plugin", "run", "reports", "--path", str(shop), "--mode", mode)
    assert (there.returncode, there.stdout) == (here.returncode, here.stdout), there.stderr
    assert here.stdout == "on stdout\non stdout again\ndone\n"
    assert sorted(said(there.stderr)) == sorted(said(here.stderr))
    for line in ("on stderr", "epoch loss=0.5", "dev: for developers"):
        assert line in said(there.stderr)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.campaign
def test_the_document_is_that_of_local(mode: str, synapse: Any, local: Any, shop: Path) -> None:
    arguments = ("add", "--set", "left=2", "--json")
    here = json.loads(local(*arguments).stdout)
    there = synapse("plugin", "run", *arguments, "--path", str(shop), "--mode", mode)
    document = json.loads(there.stdout)
    assert document.pop("mode") == mode
    assert (document.pop("job_id", None) is not None) == (mode in JOB_MODES)
    assert document == {key: value for key, value in here.items() if key != "mode"}
    assert "adding up" in there.stderr


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.campaign
def test_a_failure_is_that_of_local(mode: str, synapse: Any, local: Any, shop: Path) -> None:
    here = local("fail")
    there = synapse("plugin", "run", "fail", "--path", str(shop), "--mode", mode)
    assert there.returncode == here.returncode == 1
    assert there.stdout == here.stdout == "about to fail\n"
    assert said(there.stderr) == said(here.stderr)
    assert there.stderr.rstrip().endswith("ValueError: the reason")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.campaign
def test_a_failure_in_json_is_that_of_local(mode: str, synapse: Any, local: Any, shop: Path) -> None:
    here = json.loads(local("fail", "--json", "--no-debug").stdout)
    there = json.loads(
        synapse("plugin", "run", "fail", "--json", "--no-debug", "--path", str(shop), "--mode", mode).stdout
    )
    for document in (here, there):
        document.pop("job_id", None)
        document["error"].pop("details")
        document["error"]["traceback"] = said(document["error"]["traceback"])
    assert there == here


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("arguments", [["add", "--set", "left=-1"], ["add"], ["ad"], ["add", "--no-such"]])
@pytest.mark.campaign
def test_a_mistake_reads_as_in_local_and_reaches_no_cluster(
    mode: str, arguments: list[str], local: Any, shop: Path
) -> None:
    here = local(*arguments)
    command = [sys.executable, "-m", "synapse_cli", "plugin", "run", *arguments, "--path", str(shop), "--mode", mode]
    nowhere = {**os.environ, "RAY_ADDRESS": "127.0.0.1:1"}
    there = subprocess.run(command, env=nowhere, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (there.returncode, there.stderr, there.stdout) == (here.returncode, here.stderr, here.stdout)
    assert here.returncode in (2, 3, 5)


# -- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.campaign
def test_env_gpus_and_job_id_reach_the_action(
    mode: str, synapse: Any, shop: Path, unused_job_id: str, ray_cluster: RayCluster
) -> None:
    done = synapse(
        "plugin", "run", "settings", "--path", str(shop), "--mode", mode, "--env", "LAYER=cli", "--env", "TOKEN",
        "--gpus", "0.5", "--cpus", "0.5", "--job-id", unused_job_id, "--ray-address", ray_cluster.address,
        TOKEN="passed-on", RAY_ADDRESS="",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("gpus") in ("0", "1")
    assert "ray" in found.pop("home")
    assert found == {"GREETING": "from-config", "LAYER": "cli", "TOKEN": "passed-on", "job_id": unused_job_id}
    if mode in JOB_MODES:  # what is suggested names the cluster too
        assert f"  synapse job logs -f {unused_job_id} --ray-address {ray_cluster.address}" in done.stderr.splitlines()


@pytest.mark.parametrize("mode", JOB_MODES)
@pytest.mark.campaign
def test_an_id_that_is_taken_is_refused(mode: str, synapse: Any, shop: Path, submitted: Any) -> None:
    job_id = submitted(mode, "add", {"left": 1})
    done = synapse("plugin", "run", "add", "--set", "left=5", "--path", str(shop), "-m", mode, "--job-id", job_id)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"job '{job_id}' exists" in done.stderr
    assert json.loads(synapse("job", "result", job_id).stdout) == {"sum": 2}


@pytest.mark.parametrize("mode", JOB_MODES)
@pytest.mark.campaign
def test_detached_the_result_can_be_had_later(mode: str, synapse: Any, shop: Path) -> None:
    done = synapse("plugin", "run", "add", "--set", "left=5", "--path", str(shop), "--mode", mode, "--detach")
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.removesuffix("\n")
    assert done.stdout == f"{job_id}\n"
    assert f"  synapse job result {job_id}" in done.stderr.splitlines()
    result = synapse("job", "result", job_id)
    assert (result.returncode, json.loads(result.stdout)) == (0, {"sum": 6})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("address", ["127.0.0.1:1", "http://127.0.0.1:1"])
@pytest.mark.campaign
def test_a_wrong_address_says_what_to_type(mode: str, address: str, synapse: Any, shop: Path) -> None:
    done = synapse(
        "plugin", "run", "add", "--set", "left=5", "--path", str(shop), "--mode", mode, "--ray-address", address
    )
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if address.startswith("http") and mode != "job":
        assert done.returncode == 2
        assert "mode 'job'" in done.stderr
    else:
        assert done.returncode == 6
        assert "127.0.0.1:1" in done.stderr
        assert "ray start --head" in done.stderr


# -- Ctrl-C -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ONE_IN_CI)
def test_ctrl_c_detaches_and_the_job_goes_on(
    mode: str, synapse: Any, shop: Path, tmp_path: Path, unused_job_id: str, ray_cluster: RayCluster
) -> None:
    started, release = tmp_path / "started", tmp_path / "release"
    child, process = on_a_terminal(
        "plugin", "run", "waits", "--path", str(shop), "--mode", mode, "--set", f"started={started}",
        "--set", f"release={release}", "--job-id", unused_job_id, env=ray_cluster.environment,
    )  # fmt: skip
    child.expect("it has begun")
    assert started.exists()
    child.send("\x03")  # Ctrl-C
    child.expect(f"detached: job {unused_job_id} goes on; `synapse job cancel {unused_job_id}` stops it")
    child.expect(pexpect.EOF)
    assert process.wait(PATIENCE) == 130
    assert "Traceback" not in child.before
    assert synapse("job", "status", unused_job_id).stdout == "RUNNING\n"
    release.touch()
    result = synapse("job", "result", unused_job_id)
    assert (result.returncode, json.loads(result.stdout)) == (0, {"waited": True})


# -- synapse job --------------------------------------------------------------------------------


@pytest.mark.campaign
@pytest.mark.parametrize("mode", JOB_MODES)
def test_a_finished_job_is_found_by_its_id_alone(mode: str, synapse: Any, submitted: Any) -> None:
    job_id = submitted(mode, "reports")
    result = synapse("job", "result", job_id)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    assert synapse("job", "status", job_id).stdout == "SUCCEEDED\n"
    logs = synapse("job", "logs", job_id)
    assert logs.returncode == 0
    for line in ("on stdout", "on stderr", "on stdout again"):
        assert line in logs.stdout.splitlines()
    assert "epoch" in logs.stdout
    assert synapse("job", "cancel", job_id).stdout == "it had already ended\n"


@pytest.mark.parametrize("mode", JOB_MODES)
@pytest.mark.campaign
def test_every_answer_is_a_document_with_json(mode: str, synapse: Any, submitted: Any, ray_cluster: RayCluster) -> None:
    job_id = submitted(mode, "add", {"left": 1})
    where = ["--json", "--mode", mode, "--ray-address", ray_cluster.address]
    assert json.loads(synapse("job", "result", job_id, *where).stdout) == {
        "job_id": job_id,
        "status": "succeeded",
        "result": {"sum": 2},
    }
    assert json.loads(synapse("job", "status", job_id, *where).stdout) == {"job_id": job_id, "status": "SUCCEEDED"}
    assert json.loads(synapse("job", "cancel", job_id, *where).stdout) == {"job_id": job_id, "cancelled": False}
    (row,) = [row for row in json.loads(synapse("job", "list", *where).stdout) if row["job_id"] == job_id]
    assert {row["mode"]} == {mode}
    assert (row["action"], row["status"]) == ("add", "SUCCEEDED")
    assert row["started_at"] <= row["ended_at"]


@pytest.mark.campaign
def test_the_list_has_jobs_of_both_kinds_the_latest_first(synapse: Any, submitted: Any) -> None:
    ids = [submitted(mode, "add", {"left": n}) for n, mode in enumerate(("ray-job", "job", "ray-job"))]
    listed = synapse("job", "list")
    assert listed.returncode == 0, listed.stderr
    heading, *rows = listed.stdout.splitlines()
    assert heading.split() == ["JOB", "MODE", "ACTION", "STATUS", "STARTED", "TOOK"]
    mine = [row.split() for row in rows if row.split()[0] in ids]
    assert [row[0] for row in mine] == ids[::-1]
    assert [row[1] for row in mine] == ["ray-job", "job", "ray-job"]
    assert {row[2] for row in mine} == {"add"}
    only = synapse("job", "list", "--mode", "job").stdout
    assert ids[1] in only
    assert ids[0] not in only


@pytest.mark.parametrize("mode", JOB_MODES)
@pytest.mark.campaign
def test_logs_are_followed_until_the_job_ends(
    mode: str, submitted: Any, shop: Path, tmp_path: Path, ray_cluster: RayCluster
) -> None:
    started, release = tmp_path / "started", tmp_path / "release"
    job_id = submitted(mode, "waits", {"started": str(started), "release": str(release)})
    with subprocess.Popen(
        [sys.executable, "-m", "synapse_cli", "job", "logs", "-f", job_id],
        env={**os.environ, **ray_cluster.environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        lines = iter(following.stdout)
        assert any("it has begun" in line for line in lines)  # while it runs
        assert not release.exists()
        release.touch()
        assert any("it is over" in line for line in lines)
        assert following.wait(PATIENCE) == 0


@pytest.mark.parametrize("mode", JOB_MODES)
@pytest.mark.campaign
def test_ctrl_c_ends_the_following_of_logs_and_not_the_job(
    mode: str, submitted: Any, synapse: Any, tmp_path: Path, ray_cluster: RayCluster
) -> None:
    started, release = tmp_path / "started", tmp_path / "release"
    job_id = submitted(mode, "waits", {"started": str(started), "release": str(release)})
    child, process = on_a_terminal("job", "logs", "--follow", job_id, env=ray_cluster.environment)
    child.expect("it has begun")
    child.send("\x03")  # Ctrl-C
    child.expect(f"job {job_id} goes on")
    child.expect(pexpect.EOF)
    assert process.wait(PATIENCE) == 130
    assert "Traceback" not in child.before
    assert synapse("job", "status", job_id).stdout == "RUNNING\n"
    release.touch()


@pytest.mark.campaign
@pytest.mark.parametrize("mode", JOB_MODES)
def test_a_running_job_is_cancelled(mode: str, synapse: Any, submitted: Any, tmp_path: Path) -> None:
    job_id = submitted(mode, "waits", {"started": str(tmp_path / "started"), "release": str(tmp_path / "never")})
    until((tmp_path / "started").exists)
    assert synapse("job", "result", job_id, "--timeout", "0.1").returncode == 7
    done = synapse("job", "cancel", job_id)
    assert (done.returncode, done.stdout) == (0, "cancelled\n"), done.stderr
    result = synapse("job", "result", job_id, "--json")
    assert result.returncode == 130
    document = json.loads(result.stdout)
    assert (document["job_id"], document["error"]["type"]) == (job_id, "ExecutionCancelledError")


@pytest.mark.campaign
@pytest.mark.parametrize("mode", JOB_MODES)
def test_a_job_is_deleted_once_it_has_ended(mode: str, synapse: Any, submitted: Any, tmp_path: Path) -> None:
    release = tmp_path / "release"
    job_id = submitted(mode, "waits", {"started": str(tmp_path / "started"), "release": str(release)})
    until((tmp_path / "started").exists)
    early = synapse("job", "delete", job_id)
    assert (early.returncode, early.stdout) == (1, "")
    assert f"synapse job cancel {job_id}" in early.stderr
    release.touch()
    assert synapse("job", "result", job_id).returncode == 0
    done = synapse("job", "delete", job_id)
    assert (done.returncode, done.stdout) == (0, "deleted\n"), done.stderr
    again = synapse("job", "delete", job_id, "--json")
    assert (again.returncode, json.loads(again.stdout)["error"]["type"]) == (5, "JobNotFoundError")


@pytest.mark.campaign
@pytest.mark.parametrize("mode", ["local", *MODES])
def test_a_result_that_cannot_be_sent_is_shown_as_text(mode: str, synapse: Any, shop: Path) -> None:
    done = synapse("plugin", "run", "unsendable", "--path", str(shop), "--mode", mode)
    assert (done.returncode, done.stdout) == (0, '"<unsendable>"\n')
    assert "shown as text" in done.stderr


@pytest.mark.parametrize("mode", JOB_MODES)
@pytest.mark.campaign
def test_the_result_of_a_failed_job_is_its_error(mode: str, synapse: Any, submitted: Any) -> None:
    job_id = submitted(mode, "fail")
    result = synapse("job", "result", job_id)
    assert (result.returncode, result.stdout) == (1, "")
    assert "Traceback" in result.stderr
    assert result.stderr.rstrip().endswith("ValueError: the reason")
    assert synapse("job", "status", job_id).stdout == "FAILED\n"


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        *(pytest.param(each, marks=pytest.mark.campaign) for each in (["result"], ["cancel"], ["logs"])),
        ["logs", "-f"],
    ],
)
def test_an_unknown_id_says_where_to_look(command: list[str], synapse: Any) -> None:
    done = synapse("job", *command, "nobody-knows-it")
    assert (done.returncode, done.stdout) == (5, "")
    assert "nobody-knows-it" in done.stderr
    assert "synapse job list" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.campaign
def test_an_unknown_id_in_json_is_a_document(synapse: Any) -> None:
    done = synapse("job", "status", "nobody-knows-it", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"], document["error"]["type"]) == (5, "failed", "JobNotFoundError")


@pytest.mark.parametrize("more", [[], ["--mode", "job"], ["--mode", "ray-job"]])
@pytest.mark.campaign
def test_no_cluster_at_the_address_says_how_to_start_one(more: list[str], synapse: Any) -> None:
    done = synapse("job", "list", "--ray-address", "127.0.0.1:1", *more)
    assert (done.returncode, done.stdout) == (6, "")
    assert "ray start --head" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.campaign
def test_help_names_every_command(synapse: Any) -> None:
    shown = synapse("job", "--help").stdout
    for command in ("list", "status", "logs", "result", "cancel", "delete"):
        assert re.search(rf"^  {command} ", shown, re.MULTILINE)


# -- where no cluster runs ------------------------------------------------------------------------


ALONE = """
import sys
import ray._private.services as services
# Other clusters of this machine, that of this session first, are found by their processes.
services.find_gcs_addresses = lambda: frozenset()
services.find_gcs_addresses.cache_clear = lambda: None
from synapse_cli.main import main
sys.argv[0] = "synapse"
main()
"""


@pytest.fixture
def alone(shop: Path) -> Iterator[Any]:
    """A function that runs ``synapse`` where no cluster is to be found; what it starts is ended after the test."""
    folder = Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))  # short: paths of sockets end at 107 characters
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    env |= {"RAY_TMPDIR": str(folder), "HOME": str(folder), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", ALONE, *arguments],
            env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=250, check=False,
        )  # fmt: skip

    yield run
    for pid in processes_in(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not processes_in(folder), patience=30)
    shutil.rmtree(folder, ignore_errors=True)


def processes_in(folder: Path) -> list[int]:
    """Return the processes that were started with the folder as theirs."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"RAY_TMPDIR={folder}".encode() in file.read_bytes().split(b"\0"):
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.campaign
def test_task_starts_a_private_cluster_and_says_so(alone: Any, shop: Path) -> None:
    done = alone("plugin", "run", "add", "--set", "left=2", "--path", str(shop), "--mode", "task")
    assert done.returncode == 0, done.stderr
    assert "no Ray cluster is running: starting a private one" in done.stderr
    assert done.stdout.startswith("adding up\n")
    assert json.loads(done.stdout.removeprefix("adding up\n")) == {"sum": 3}


@pytest.mark.parametrize("mode", ONE_IN_CI)
def test_jobs_say_how_to_start_a_cluster(mode: str, alone: Any, shop: Path) -> None:
    done = alone("plugin", "run", "add", "--set", "left=2", "--path", str(shop), "--mode", mode)
    assert (done.returncode, done.stdout) == (6, "")
    for way in ("ray start --head", "--ray-address", "--start-ray"):
        assert way in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.campaign
def test_who_asks_for_jobs_is_not_told_to_start_a_cluster_for_that(alone: Any) -> None:
    done = alone("job", "list")
    assert (done.returncode, done.stdout) == (6, "")
    assert "--ray-address" in done.stderr
    assert "--start-ray" not in done.stderr


@pytest.mark.parametrize("mode", JOB_MODES)
@pytest.mark.campaign
def test_start_ray_starts_a_cluster_that_stays(mode: str, alone: Any, shop: Path) -> None:
    done = alone("plugin", "run", "add", "--set", "left=2", "--path", str(shop), "--mode", mode, "--start-ray")
    assert done.returncode == 0, done.stderr
    assert "no Ray cluster" in done.stderr
    assert "ray stop" in done.stderr
    assert json.loads(done.stdout.removeprefix("adding up\n")) == {"sum": 3}
    job_id = next(line for line in done.stderr.splitlines() if line.startswith("job ")).split()[1]
    again = alone("job", "result", job_id)  # another process finds it
    assert (again.returncode, json.loads(again.stdout)) == (0, {"sum": 3}), again.stderr
