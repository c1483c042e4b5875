"""No token shows anywhere: not in Ray's interfaces, its files, its processes or its store; and the search for it works."""

import base64
import contextlib
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from synapse_ray.ray_internals import control_store
from synapse_testing.plugin_fixtures import write_plugin
from synapse_testing.ray_cluster import RayCluster
from synapse_testing.waiting import poll, wait_for_file

pytestmark = [pytest.mark.ray, pytest.mark.slow]

MODES = ("task", "ray-job", "job")

STATES = (
    "/api/jobs/",
    "/nodes?view=summary",
    "/logical/actors",
    *(
        f"/api/v0/{what}?detail=1&limit=10000"
        for what in ("actors", "jobs", "nodes", "objects", "placement_groups", "runtime_envs", "tasks", "workers")
    ),
)
FURTHER_INTERFACES = (
    "/api/cluster_status",
    "/api/component_activities",
    "/api/v0/actors/summarize",
    "/api/v0/cluster_events?detail=1&limit=10000",
    "/api/v0/cluster_metadata",
    "/api/v0/objects/summarize",
    "/api/v0/tasks/summarize",
    "/api/v0/tasks/timeline",
    "/events",
    "/test/dump",
)
STORE_NAMESPACES = (
    None,
    b"fun",
    b"job",
    b"synapse",
    b"cluster",
    b"session",
    b"dashboard",
    b"serve",
    b"tracing",
    b"usage_stats",
)

ACTIONS = '''
import hashlib
import logging
import os
import sys
import time
from pathlib import Path


def _leak(names, ctx):
    for name in names:
        value = os.environ[name]
        print("the value is", value)
        print("again:", value, file=sys.stderr)
        sys.stdout.write(f"in one piece with {value}")
        sys.stdout.write(" and the rest\\n")
        logging.getLogger("leaky").warning("logged: %s", value)
        ctx.logger.warning("by the context's logger: %s", value)
        ctx.log("leak", {"deep": [{"value": value}], value: "as a key"})
        ctx.log_message(f"message {value}")
        ctx.log_dev_event("dev", {"value": value})
        ctx.set_progress(1, 2, value)
        ctx.log_metric("leak", "key", value, loss=1.0)


def succeed(params, ctx):
    """Leak what `leaked` names, and return digests of all, as this process and the context have them."""
    _leak(params["leaked"], ctx)
    digest = lambda text: hashlib.sha256(text.encode()).hexdigest()
    return {name: [digest(os.environ[name]), digest(str(ctx.env[name]))] for name in params["known"]}


def fail(params, ctx):
    _leak(params["leaked"], ctx)
    values = {name: os.environ[name] for name in params["leaked"]}
    try:
        raise KeyError(values)
    except KeyError as error:
        raise ValueError(f"it failed with {values}", values) from error


def sleep(params, ctx):
    _leak(params["leaked"], ctx)
    Path(params["here"]).touch()
    while not Path(params["go"]).exists():
        time.sleep(0.05)
    return succeed(params, ctx)
'''

IN_PROCESS = """
import json, sys
from synapse_core.runner import prepare_run
from synapse_core.errors import ExecutionError

wanted = json.load(sys.stdin)
found = {}
for mode, settings in wanted["modes"].items():
    results = {}
    for action in ("succeed", "fail"):
        run = prepare_run(wanted["folder"], action, mode=mode, **settings["arguments"])
        try:
            results[action] = run.executor.execute(run.target, settings["params"])
        except ExecutionError as error:
            results[action] = [type(error).__name__, str(error), repr(error.__cause__), error.remote_traceback]
        if mode != "task":
            results[action + " logs"] = [run.executor.get_logs(row) for row in wanted.get("jobs", ())]
    found[mode] = results
json.dump(found, open(wanted["answer"], "w"))
"""

# The same work with the same values, given to plain Ray as its users do.
WITHOUT_PROTECTION = """
import json, os, sys, time
import ray
from ray.job_submission import JobSubmissionClient

wanted = json.load(sys.stdin)
tokens = wanted["tokens"]
sys.path.insert(0, wanted["folder"])
import leaky_actions
from synapse_core.context import RuntimeContext
ray.init(address=os.environ["RAY_ADDRESS"], namespace="plain", log_to_driver=False)
ray.cloudpickle.register_pickle_by_value(leaky_actions)

class Actor:
    def __init__(self, shown):
        self.shown = shown
    def work(self):
        ctx = RuntimeContext()
        leaky_actions.succeed({"leaked": list(tokens), "known": []}, ctx)
    def fail(self):
        leaky_actions.fail({"leaked": list(tokens)}, RuntimeContext())
    def sleep(self, here, go):
        open(here, "w").close()
        while not os.path.exists(go):
            time.sleep(0.05)

actor = ray.remote(Actor).options(runtime_env={"env_vars": tokens}, name=" ".join(tokens.values()), num_cpus=0).remote(tokens)
ray.get(actor.work.remote())
try:
    ray.get(actor.fail.remote())
except Exception:
    pass

@ray.remote(runtime_env={"env_vars": tokens}, num_cpus=0, max_retries=0)
def task():
    raise ValueError(tokens)

try:
    ray.get(task.options(name=" ".join(tokens.values())).remote())
except ValueError:
    pass
client = JobSubmissionClient(wanted["dashboard"])
program = "import os, sys, time; print(dict(os.environ))\\nwhile not os.path.exists(sys.argv[1]): time.sleep(.05)"
job = client.submit_job(
    entrypoint=f"{sys.executable} -c '{program}' {wanted['go']} {' '.join(tokens.values())}",
    runtime_env={"env_vars": tokens}, metadata=tokens,
)
while client.get_job_status(job).value == "PENDING" or not client.get_job_logs(job):
    time.sleep(0.05)
actor.sleep.remote(wanted["here"], wanted["go"])
while not os.path.exists(wanted["go"]):
    time.sleep(0.05)
while client.get_job_status(job).value == "RUNNING":
    time.sleep(0.05)
"""


@dataclass
class Search:
    """Looks for texts in all that a cluster shows and keeps."""

    cluster: RayCluster
    tokens: Mapping[str, str]
    since: float
    found: dict[str, set[str]] = field(default_factory=dict)  # place → names of the tokens in it

    def everywhere(self) -> dict[str, set[str]]:
        self._patterns = {name: [form.encode() for form in _forms(token)] for name, token in self.tokens.items()}
        self.interfaces()
        self.logs()
        self.files()
        self.processes()
        self.store()
        return self.found

    def interfaces(self) -> None:
        with httpx.Client(base_url=self.cluster.dashboard_url, timeout=60) as client:
            nodes = [f"/nodes/{node}" for node in self.cluster.nodes_alive()]
            for path in (*STATES, *FURTHER_INTERFACES, *nodes):
                answer = client.get(path)
                if path in STATES:
                    assert answer.status_code == 200, (path, answer.text)
                self._look(f"interface {path.partition('?')[0]}", answer.content)

    def logs(self) -> None:
        with httpx.Client(base_url=self.cluster.dashboard_url, timeout=60) as client:
            for node in self.cluster.nodes_alive():
                listed = client.get("/api/v0/logs", params={"node_id": node, "glob": "**/*"}).json()
                names = [name for group in listed["data"]["result"].values() for name in group]
                assert "raylet.out" in names
                for name in names:
                    file = self.cluster.session_dir / "logs" / name
                    if file.is_file() and file.stat().st_mtime >= self.since:
                        answer = client.get(
                            "/api/v0/logs/file", params={"node_id": node, "filename": name, "lines": -1}
                        )
                        assert answer.status_code == 200 or not file.stat().st_size, (name, answer.text)
                        self._look(f"log {name}", answer.content)

    def files(self) -> None:
        for folder, _, names in os.walk(self.cluster.session_dir):
            for name in names:
                file = Path(folder, name)
                # Written before the tokens were made, or gone meanwhile, or a socket.
                with contextlib.suppress(OSError):
                    if file.is_file() and file.stat().st_mtime >= self.since:
                        self._look(f"file {file.relative_to(self.cluster.session_dir)}", file.read_bytes())

    def processes(self) -> None:
        for node in self.cluster.nodes:
            for pid in node.processes():
                for what in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        self._look(what, Path(f"/proc/{pid}/{what}").read_bytes())

    def store(self) -> None:
        client = control_store(self.cluster.address)
        for namespace in STORE_NAMESPACES:
            for key in client.internal_kv_keys(b"", namespace):
                value = client.internal_kv_get(key, namespace) or b""
                if b"_ray_pkg" not in key:
                    self._look(f"store {(namespace or b'').decode()}", key + b"\n" + value)

    def _look(self, place: str, content: bytes) -> None:
        for name, forms in self._patterns.items():
            if any(form in content for form in forms):
                self.found.setdefault(place, set()).add(name)


def _forms(token: str) -> list[str]:
    """Return a text as it is, and what is left of it in Base64 wherever it begins."""
    found = [token]
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + token.encode()).decode()
        found.append(encoded[4 if before else 0 : -4])
    return found


def new_token() -> str:
    return f"tok{secrets.token_hex(16)}"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def plugin(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Give a plugin whose config holds values, and these."""
    values = {"CONFIG_PASSWORD": new_token(), "CONFIG_PLAIN": new_token()}
    actions = {name: {"entrypoint": f"leaky_actions:{name}"} for name in ("succeed", "fail", "sleep")}
    config = {
        "code": "leaky",
        "env": values,
        "actions": actions,
        "runtime_env": {"env_vars": {"CONFIG_API_KEY": new_token(), "VISIBLE": "shown"}},
    }
    folder = write_plugin(tmp_path / "leaky", {"config.yaml": config, "leaky_actions.py": ACTIONS})
    return folder, {**values, "CONFIG_API_KEY": config["runtime_env"]["env_vars"]["CONFIG_API_KEY"]}


def test_no_secret_shows_in_the_cluster(
    ray_cluster: RayCluster, plugin: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, config_values = plugin
    since = time.time() - 1
    planted: dict[str, str] = {f"config {name}": value for name, value in config_values.items()}
    clients = []
    answer = tmp_path / "answer.json"
    environ = {**os.environ, **ray_cluster.environment, "NO_COLOR": "1"}
    environ.pop("SYNAPSE_ACCESS_TOKEN", None)

    # One process runs and loses an action in every mode, with its token in the environment.
    own = {"SYNAPSE_ACCESS_TOKEN": new_token(), "SYNAPSE_HOST": "http://synapse.example"}
    modes: dict[str, Any] = {}
    expected: dict[str, dict[str, str]] = {}
    for mode in MODES:
        env = {"DATABASE_PASSWORD": new_token(), "PLAIN_NAME": new_token(), "FORM": f"sk-{new_token()}"}
        variables = {"SERVICE_API_KEY": new_token(), "HARMLESS": f"sk-{new_token()}"}
        both = {**env, **variables}
        planted |= {f"{mode} {name}": value for name, value in both.items()}
        expected[mode] = {**both, "SYNAPSE_ACCESS_TOKEN": own["SYNAPSE_ACCESS_TOKEN"], **config_values}
        expected[mode].pop("CONFIG_API_KEY")  # the caller's runtime_env stands in for that of the config
        leaked = [name for name in expected[mode] if "PLAIN" not in name]
        arguments = {
            "env": env,
            "ray_address": ray_cluster.address,
            "runtime_env": {"env_vars": {**variables, "SEEN": "1"}},
        }
        modes[mode] = {"arguments": arguments, "params": {"leaked": leaked, "known": list(expected[mode])}}
    planted["environ SYNAPSE_ACCESS_TOKEN"] = own["SYNAPSE_ACCESS_TOKEN"]
    wanted = {"folder": str(folder), "modes": modes, "answer": str(answer)}
    clients.append(_start([sys.executable, "-c", IN_PROCESS], {**environ, **own}, tmp_path / "in-process", wanted))

    # Others, one for each mode, sleep in an action while we look, with their token from the home folder.
    stored = new_token()
    planted["stored SYNAPSE_ACCESS_TOKEN"] = stored
    home = tmp_path / "home"
    (home / ".synapse").mkdir(parents=True)
    (home / ".synapse" / "config.json").write_text(json.dumps({"host": "http://h.example", "access_token": stored}))
    go = tmp_path / "go"
    for mode in MODES:
        given = new_token()
        planted[f"{mode} --env"] = given
        known = ["CLI_TOKEN", "SYNAPSE_ACCESS_TOKEN", *config_values]
        params = {
            "leaked": [name for name in known if "PLAIN" not in name],
            "known": known,
            "here": str(tmp_path / f"here-{mode}"),
            "go": str(go),
        }
        command = [
            *(sys.executable, "-m", "synapse_cli", "plugin", "run", "sleep", "--path", str(folder), "--mode", mode),
            *("--env", f"CLI_TOKEN={given}", "--params", json.dumps(params), "--json"),
            *("--ray-address", ray_cluster.dashboard_url if mode == "job" else ray_cluster.address),
        ]
        expected[f"cli {mode}"] = {"CLI_TOKEN": given, "SYNAPSE_ACCESS_TOKEN": stored, **config_values}
        clients.append(_start(command, {**environ, "HOME": str(home)}, tmp_path / f"cli-{mode}"))

    try:
        for mode in MODES:
            wait_for_file(tmp_path / f"here-{mode}", 120)
        assert clients[0].process.wait(240) == 0, clients[0].output()
        during = Search(ray_cluster, planted, since).everywhere()
        go.touch()
        for client in clients:
            assert client.process.wait(120) == 0, client.output()
    finally:
        go.touch()
        for client in clients:
            client.process.kill()
    afterwards = Search(ray_cluster, planted, since).everywhere()

    # They did arrive, where they were meant to.
    found = json.loads(answer.read_text())
    for mode in MODES:
        wanted_digests = {name: [digest(value)] * 2 for name, value in expected[mode].items()}
        assert found[mode]["succeed"] == wanted_digests, mode
        assert found[mode]["fail"][0] == "ExecutionError"
        assert "***" in found[mode]["fail"][1]
        document = json.loads((tmp_path / f"cli-{mode}.out").read_text())
        assert document["result"] == {name: [digest(value)] * 2 for name, value in expected[f"cli {mode}"].items()}
    assert (during, afterwards) == ({}, {})
    for client in clients:
        shown = client.output() + answer.read_text()
        assert [name for name, token in planted.items() if token in shown] == []
        assert "***" in client.output()


@pytest.mark.campaign  # starts a cluster of its own
def test_the_search_finds_every_secret_where_nothing_protects_it(
    ray_cluster: RayCluster, plugin: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    since = time.time() - 1
    names = ("DATABASE_PASSWORD", "PLAIN_NAME", "SYNAPSE_ACCESS_TOKEN", "SERVICE_API_KEY", "CLI_TOKEN")
    tokens = {name: new_token() for name in names}
    here, go = tmp_path / "here", tmp_path / "go"
    wanted = {
        "tokens": tokens,
        "folder": str(plugin[0]),
        "dashboard": ray_cluster.dashboard_url,
        "here": str(here),
        "go": str(go),
    }
    client = _start(
        [sys.executable, "-c", WITHOUT_PROTECTION],
        {**os.environ, **ray_cluster.environment},
        tmp_path / "plain",
        wanted,
    )
    try:
        assert poll(lambda: here.exists() or client.process.poll() is not None, 120), client.output()
        assert client.process.poll() is None, client.output()
        found = Search(ray_cluster, tokens, since).everywhere()
    finally:
        go.touch()
        client.process.wait(60)
    everywhere = {
        *("interface /api/jobs/", "interface /test/dump", "cmdline", "environ"),
        *(f"interface /api/v0/{what}" for what in ("actors", "jobs", "runtime_envs", "tasks")),
    }
    assert {place: found.get(place) for place in everywhere} == {place: set(names) for place in everywhere}
    for kind in ("log ", "file ", "store "):
        assert any(place.startswith(kind) and found[place] == set(names) for place in found), (kind, found)


@dataclass
class Client:
    """A process of a user's, and what it writes."""

    process: subprocess.Popen[bytes]
    files: list[Path]

    def output(self) -> str:
        return "\n".join(file.read_text(errors="replace") for file in self.files)


def _start(command: list[str], environ: dict[str, str], output: Path, wanted: Any = None) -> Client:
    files = [output.with_suffix(".out"), output.with_suffix(".err")]
    with files[0].open("wb") as out, files[1].open("wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environ)
    assert process.stdin is not None
    process.stdin.write(json.dumps(wanted).encode())
    process.stdin.close()
    return Client(process, files)
