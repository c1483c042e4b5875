"""A cluster that wants a token: every mode works with it, and says where it is looked for without it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from packaging.version import Version

from synapse_testing.ray_cluster import RayCluster

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.campaign,
    pytest.mark.skipif(Version(ray.__version__) < Version("2.52"), reason="an older Ray has no token authentication"),
]

MODES = ("task", "ray-job", "job")
PATIENCE = 90.0

RUN = """
import sys
import time
from synapse_core.errors import PluginError
from synapse_core.runner import prepare_run

begun = time.monotonic()
for mode in sys.argv[2:]:
    try:
        run = prepare_run("adding", "add", mode=mode, action_cls="synapse_testing.actions:adds", ray_address=sys.argv[1])
        print(mode, run.executor.execute(run.target, {"left": 40, "right": 2}))
    except PluginError as error:
        print(mode, type(error).__name__, error, sep="|")
    except BaseException as error:
        print(mode, "RAW", type(error).__module__, type(error).__name__, error, sep="|")
"""


@pytest.fixture(scope="module")
def guarded() -> Iterator[RayCluster]:
    """Give a cluster that wants a token."""
    with RayCluster(num_cpus=4, num_gpus=0, auth="token") as cluster:
        yield cluster


def start(cluster: RayCluster, folder: Path, *modes: str, **variables: str | None) -> subprocess.Popen[str]:
    """Start a process with the cluster's environment, changed by `variables`, that runs an action in `modes`."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    found = {**os.environ, **cluster.environment, "HOME": str(home), **variables}
    environ = {name: value for name, value in found.items() if value is not None}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, cluster.address, *modes],
        env=environ,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcomes(process: subprocess.Popen[str]) -> dict[str, str]:
    """Return what came of each mode."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"no answer within {PATIENCE:g} s: {process.communicate()}") from None
    assert process.returncode == 0, out + err
    assert "Traceback" not in err, err
    said = [line for line in out.splitlines() if line.startswith(MODES)]  # Ray, too, writes to stdout
    return dict(line.split(" " if "|" not in line else "|", 1) for line in said)


def test_every_mode_works_with_the_token(guarded: RayCluster, tmp_path: Path) -> None:
    token = str(guarded.token)
    by_path = start(guarded, tmp_path, *MODES)
    by_value = start(guarded, tmp_path, *MODES, RAY_AUTH_TOKEN=token, RAY_AUTH_TOKEN_PATH=None)
    (tmp_path / "owner" / "home" / ".ray").mkdir(parents=True)
    (tmp_path / "owner" / "home" / ".ray" / "auth_token").write_text(token + "\n")
    at_home = start(guarded, tmp_path / "owner", *MODES, RAY_AUTH_TOKEN_PATH=None)
    expected = dict.fromkeys(MODES, "42")
    assert [outcomes(process) for process in (by_path, by_value, at_home)] == [expected] * 3


@pytest.mark.parametrize(
    "variables",
    [
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": None},
        {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN_PATH": None},
        {"RAY_AUTH_MODE": None, "RAY_AUTH_TOKEN_PATH": None},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 32, "RAY_AUTH_TOKEN_PATH": None},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/no/such/file"},
    ],
    ids=["none", "disabled", "mode-unset", "wrong", "missing-file"],
)
def test_without_the_token_the_error_says_where_it_is_looked_for(
    guarded: RayCluster, tmp_path: Path, variables: dict[str, str | None]
) -> None:
    processes = [start(guarded, tmp_path, mode, **variables) for mode in MODES]
    found = {mode: text for process in processes for mode, text in outcomes(process).items()}
    assert set(found) == set(MODES)
    for mode, text in found.items():
        assert text.startswith("AuthenticationError|"), (mode, text)
        for place in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token", "RAY_AUTH_MODE"):
            assert place in text, (mode, text)


def test_a_wrong_token_is_told_from_a_missing_one(guarded: RayCluster, tmp_path: Path) -> None:
    wrong = start(guarded, tmp_path, "task", "job", RAY_AUTH_TOKEN="0" * 32, RAY_AUTH_TOKEN_PATH=None)
    none = start(guarded, tmp_path, "task", "job", RAY_AUTH_TOKEN_PATH=None)
    for text in outcomes(wrong).values():
        assert "0" * 32 not in text
        assert "did not take" in text
    for text in outcomes(none).values():
        assert "none was found" in text


def test_over_the_client_protocol_too(guarded: RayCluster, tmp_path: Path) -> None:
    code = RUN.replace("sys.argv[1]", repr(guarded.client_address))
    variables = {"RAY_AUTH_TOKEN_PATH": "/no/such/file"}
    for changed, expected in (({}, "task 42"), (variables, "task|AuthenticationError|")):
        environ = {**os.environ, **guarded.environment, "HOME": str(tmp_path), **changed}
        done = subprocess.run(
            [sys.executable, "-c", code, "", "task"],
            env=environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.stdout.startswith(expected), done.stdout + done.stderr


def test_the_command_line_ends_with_the_code_for_not_authorised(guarded: RayCluster, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("code: adding\nactions: {add: {entrypoint: 'adding:add'}}\n")
    (tmp_path / "adding.py").write_text("def add(params, ctx):\n    return 42\n")
    environ = {**os.environ, **guarded.environment, "RAY_AUTH_TOKEN_PATH": "/no/such/file", "HOME": str(tmp_path)}
    commands = [["plugin", "run", "add", "--path", str(tmp_path), "--mode", mode, "--json"] for mode in MODES]
    commands += [["job", "list"]]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "synapse_cli", *command, "--ray-address", guarded.address],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    for command, process in zip(commands, processes, strict=True):
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 4, (command, out, err)
        assert "RAY_AUTH_TOKEN_PATH" in err
        assert "Traceback" not in err
        if "--json" in command:
            assert json.loads(out)["error"]["type"] == "AuthenticationError"


@pytest.mark.skipif(Version(ray.__version__) < Version("2.60"), reason="an older Ray takes up no token by itself")
def test_a_token_in_the_home_folder_is_taken_up_in_every_mode(guarded: RayCluster, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("code: adding\nactions: {add: {entrypoint: 'adding:add'}}\n")
    (tmp_path / "adding.py").write_text("def add(params, ctx):\n    return 42\n")
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(Path(guarded.environment["RAY_AUTH_TOKEN_PATH"]).read_text())
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    for mode in MODES:
        done = subprocess.run(
            [sys.executable, "-m", "synapse_cli", "plugin", "run", "add", "--path", str(tmp_path), "--mode", mode,
             "--ray-address", guarded.address],
            env={**environ, "HOME": str(tmp_path), "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"},
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "42\n"), (mode, done.stderr)


FOUND = """
import sys
from ray._private import services
from synapse_ray import RayActorExecutor

find = services._find_address_from_flag  # as if it were the only one of this machine, for Ray too
services._find_address_from_flag = lambda flag: {sys.argv[1]} if flag == "--gcs-address" else find(flag)
print("found", RayActorExecutor().execute("synapse_testing.actions:adds", {"left": 40, "right": 2}))
"""


@pytest.mark.parametrize("wants", ["disabled", "token"])
def test_a_token_in_the_home_folder_does_no_harm_where_a_cluster_is_found(
    wants: str, guarded: RayCluster, ray_cluster: RayCluster, tmp_path: Path
) -> None:
    cluster = guarded if wants == "token" else ray_cluster
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(Path(guarded.environment["RAY_AUTH_TOKEN_PATH"]).read_text())
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", FOUND, cluster.address],
        env={**environ, "HOME": str(tmp_path), "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout == "found 42\n", done.stderr
    assert f"using the Ray cluster at {cluster.address}" in done.stderr
