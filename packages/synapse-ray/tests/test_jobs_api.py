"""Jobs over HTTP, on a real cluster: what is submitted runs once, and anybody who knows its id can ask for it."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from synapse_core.errors import (
    AuthenticationError,
    BackendError,
    BackendUnreachableError,
    ExecutionCancelledError,
    ExecutionError,
    JobExistsError,
    JobNotFoundError,
    WorkerLostError,
)
from synapse_core.model.status import JobStatus
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.jobs_api.entrypoint import nonce_of, secret_name
from synapse_ray.jobs_api.executor import RayJobsApiExecutor
from synapse_ray.ray_internals import control_store
from synapse_testing import actions
from synapse_testing.ray_cluster import RayCluster
from synapse_testing.waiting import until, wait_for_file

PATIENCE = 120.0


@pytest.fixture
def executor(ray_cluster: RayCluster) -> Iterator[RayJobsApiExecutor]:
    executor = RayJobsApiExecutor(dashboard_address=ray_cluster.dashboard_url)
    yield executor
    executor.shutdown()


# -- the documents' examples --------------------------------------------------------------------


def test_the_quick_start_of_the_document(
    ray_cluster: RayCluster, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "data.txt").write_text("shipped")
    executor = RayJobsApiExecutor(
        dashboard_address=ray_cluster.dashboard_url,
        working_dir=str(tmp_path),
        num_gpus=1,
    )
    job_id = executor.submit(actions.adds, {"left": 100})
    for log_line in executor.stream_logs(job_id):
        print(log_line, end="")
    assert executor.get_result(job_id) == 101
    shown = capsys.readouterr().out  # what Ray says of the job, which is another thing in each of its versions
    assert any(words in shown for words in (f"Running entrypoint for job {job_id}", "Runtime env is setting up"))


def test_the_asyncio_example_of_the_document(ray_cluster: RayCluster) -> None:
    async def run_with_logs() -> tuple[list[str], Any]:
        executor = RayJobsApiExecutor(dashboard_address=ray_cluster.dashboard_url)
        job_id = executor.submit(actions.reports, {})
        lines = [line async for line in executor.stream_logs_async(job_id)]
        # The plain ones inside a running loop too.
        assert list(executor.stream_logs(job_id)) == lines
        return lines, executor.get_status(job_id)

    lines, status = asyncio.run(run_with_logs())
    assert status == "SUCCEEDED"
    assert any("epoch_complete" in line for line in lines)


@pytest.mark.campaign
def test_resources_are_asked_for(ray_cluster: RayCluster) -> None:
    executor = RayJobsApiExecutor(
        dashboard_address=ray_cluster.dashboard_url, num_cpus=4, num_gpus=2, memory=16 * 1024 * 1024 * 1024
    )
    visible = executor.execute(lambda params, ctx: os.environ.get("CUDA_VISIBLE_DEVICES"), {})
    assert sorted(visible.split(",")) == ["0", "1"]


def test_the_document_s_way_to_handle_errors(executor: RayJobsApiExecutor) -> None:
    job_id = executor.submit(actions.raises, {})
    with pytest.raises(ExecutionError) as caught:
        executor.get_result(job_id, timeout=3600)
    assert caught.value.original_type == "OvenError"
    assert "OvenError" in executor.get_logs(job_id)


# -- submitting once ----------------------------------------------------------------------------


def test_a_taken_id_is_refused_and_the_job_that_has_it_is_undamaged(executor: RayJobsApiExecutor) -> None:
    job_id = executor.submit(actions.adds, {"left": 1}, job_id=f"twice-{uuid.uuid4().hex[:8]}")
    before = executor._dashboard.job(job_id)
    with pytest.raises(JobExistsError, match=job_id):
        executor.submit(actions.adds, {"left": 100}, job_id=job_id)
    after = executor._dashboard.job(job_id)
    assert before is not None
    assert after is not None
    assert after.metadata == before.metadata
    assert executor.get_result(job_id, PATIENCE) == 2


def test_a_lost_answer_does_not_run_the_job_twice(
    executor: RayJobsApiExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = executor._dashboard._client.request
    posts = 0

    def loses_the_answer(**arguments: Any) -> httpx.Response:
        nonlocal posts
        answer = sent(**arguments)
        if arguments["method"] == "POST" and arguments["url"] == "/api/jobs/":
            posts += 1
            raise httpx.ReadError("the answer was lost")
        return answer

    monkeypatch.setattr(executor._dashboard._client, "request", loses_the_answer)
    job_id = executor.submit(actions.appends_line, {"file": str(tmp_path / "runs")})
    executor.get_result(job_id, PATIENCE)
    assert posts == 1
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_a_request_that_never_arrived_is_sent_again(
    executor: RayJobsApiExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = executor._dashboard._client.request
    lost = 0

    def loses_two(**arguments: Any) -> httpx.Response:
        nonlocal lost
        if arguments["method"] == "POST" and lost < 2:
            lost += 1
            raise httpx.ReadError("the request was lost")
        return sent(**arguments)

    monkeypatch.setattr(executor._dashboard._client, "request", loses_two)
    job_id = executor.submit(actions.appends_line, {"file": str(tmp_path / "runs")})
    executor.get_result(job_id, PATIENCE)
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_ids_that_cannot_be_files_are_refused_at_once(executor: RayJobsApiExecutor) -> None:
    for name in ("a/b", "..", "x" * 300, "a\nb"):
        with pytest.raises(ValueError, match="job id"):
            executor.submit(actions.adds, {"left": 1}, job_id=name)


# -- what travels -------------------------------------------------------------------------------


def test_long_params_arrive(executor: RayJobsApiExecutor) -> None:
    def measures(params: dict[str, Any], ctx: Any) -> list[int]:
        return [len(params["blob"]), len(params["text"])]

    assert executor.execute(measures, {"blob": b"p" * 30_000_000, "text": "é" * 1_000_000}) == [30_000_000, 1_000_000]


def test_params_without_a_form_as_data_are_named(executor: RayJobsApiExecutor) -> None:
    with pytest.raises(TypeError, match="has no form as data"):
        executor.submit(lambda params, ctx: None, {"counter": itertools.count()})
    with pytest.raises(TypeError, match="has no form as data"):
        executor.submit(lambda params, ctx: None, {"lock": threading.Lock()})


@pytest.mark.parametrize(
    "length", [1_000, *(pytest.param(length, marks=pytest.mark.campaign) for length in (20_000_000, 200_000_000))]
)
def test_long_results_come_back(executor: RayJobsApiExecutor, length: int) -> None:
    result = executor.execute(lambda params, ctx: {"blob": b"r" * params["n"], "n": params["n"]}, {"n": length})
    assert len(result["blob"]) == result["n"] == length
    assert result["blob"].count(b"r") == length


def test_what_is_printed_cannot_forge_a_result(executor: RayJobsApiExecutor) -> None:
    def forges(params: dict[str, Any], ctx: Any) -> str:
        from synapse_core.model.outcome import Outcome
        from synapse_ray.jobs_api.result_files import outcome_file

        content = b"".join(outcome_file(Outcome(value="forged"), None))
        for stream in (sys.stdout, sys.stderr):
            stream.buffer.write(content + b"\n")
            stream.write(json.dumps(Outcome(value="forged").to_dict()) + "\n")
            stream.write('\nffffffff\neeeeeeee\n00000006\nforged\n__RESULT_START__\n"forged"\n__RESULT_END__\n')
        return "honest"

    job_id = executor.submit(forges, {})
    lines = list(executor.stream_logs(job_id, timeout=PATIENCE))
    assert executor.get_result(job_id) == "honest"
    assert "ffffffff\n" in lines
    assert "".join(lines) == executor.get_logs(job_id)


def test_secrets_show_nowhere(ray_cluster: RayCluster) -> None:
    token = f"tok-{uuid.uuid4().hex}"
    executor = RayJobsApiExecutor(
        {"SYNAPSE_ACCESS_TOKEN": token, "OTHER": f"{token}-2"},
        dashboard_address=ray_cluster.dashboard_url,
        runtime_env={"env_vars": {"MY_API_KEY": f"{token}-3", "PLAIN": "seen"}},
    )

    def reveals(params: dict[str, Any], ctx: Any) -> list[bool]:
        print("it is", ctx.env["SYNAPSE_ACCESS_TOKEN"], os.environ["MY_API_KEY"], flush=True)
        raise ValueError(ctx.env["OTHER"])

    job_id = executor.submit(reveals, {})
    with pytest.raises(ExecutionError):
        executor.get_result(job_id, PATIENCE)
    dashboard = executor._dashboard
    seen = [dashboard._client.get(path).text for path in ("/api/jobs/", f"/api/jobs/{job_id}", "/api/v0/actors")]
    seen.append(executor.get_logs(job_id))
    assert "it is" in seen[-1]
    assert not [text for text in seen if token in text]
    files = [file for file in ray_cluster.session_dir.rglob("*") if file.is_file()]
    assert len(files) > 20
    assert [file for file in files if token.encode() in file.read_bytes()] == []


# -- following ----------------------------------------------------------------------------------


def test_lines_arrive_soon_after_they_were_written(executor: RayJobsApiExecutor) -> None:
    def writes(params: dict[str, Any], ctx: Any) -> None:
        for _ in range(20):
            print(f"at {time.time()}", flush=True)
            time.sleep(0.1)

    late = []
    for line in executor.stream_logs(executor.submit(writes, {}), timeout=PATIENCE):
        if line.startswith("at "):
            late.append(time.time() - float(line[3:]))
    late.sort()
    assert len(late) == 20
    print(f"median {late[10] * 1000:.0f} ms, most {late[-1] * 1000:.0f} ms")
    assert late[10] < 1.0  # 150 ms on a machine with nothing else to do


@pytest.mark.campaign
def test_output_of_subprocesses_is_in_the_log_in_order(executor: RayJobsApiExecutor) -> None:
    def starts(params: dict[str, Any], ctx: Any) -> None:
        print("one")
        subprocess.run(["sh", "-c", "echo two; printf three"], check=True)

    lines = list(executor.stream_logs(executor.submit(starts, {}), timeout=PATIENCE))
    assert lines[-3:] == ["one\n", "two\n", "three\n"]


def test_an_abandoned_stream_leaks_nothing(executor: RayJobsApiExecutor, tmp_path: Path) -> None:
    job_id = executor.submit(
        actions.waits_for_file,
        {"started": str(tmp_path / "s"), "release": str(tmp_path / "r"), "answer": 1, "patience": PATIENCE},
    )
    wait_for_file(tmp_path / "s", PATIENCE)

    async def look(times: int) -> None:
        for _ in range(times):
            lines = executor.stream_logs_async(job_id)
            assert await anext(lines)
            await lines.aclose()  # type: ignore[attr-defined]

    def abandon(times: int) -> None:
        for _ in range(times):
            lines = executor.stream_logs(job_id)
            assert next(lines)
            lines.close()  # type: ignore[attr-defined]
        asyncio.run(look(times))

    abandon(1)
    known, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    abandon(5)
    assert len(os.listdir("/proc/self/fd")) <= known
    assert threading.active_count() <= threads
    (tmp_path / "r").touch()
    assert executor.get_result(job_id, PATIENCE) == 1


class Chaos:
    """A TCP proxy that cuts each connection after a random number of bytes."""

    def __init__(self, url: str, least: int, most: int) -> None:
        import random

        self._target = httpx.URL(url)
        self._random = random.Random(5)
        self._range = least, most
        self.cuts = 0
        self._is_away = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def pause(self) -> None:
        """Break every connection, from now until `resume`."""
        self._is_away = True

    def resume(self) -> None:
        self._is_away = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self._is_away:
                client.close()
                continue
            server = socket.create_connection((self._target.host, self._target.port or 80))
            threading.Thread(target=self._pump, args=(client, server, None), daemon=True).start()
            left = self._random.randint(*self._range)
            threading.Thread(target=self._pump, args=(server, client, left), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, left: int | None) -> None:
        try:
            while data := source.recv(65536 if left is None else min(left, 65536)):
                if self._is_away:
                    break
                target.sendall(data)
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        self.cuts += 1
                        break
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            if left is not None:
                end.close()


@pytest.fixture
def chaos(ray_cluster: RayCluster) -> Iterator[Chaos]:
    proxy = Chaos(ray_cluster.dashboard_url, 200, 60_000)
    yield proxy
    proxy.close()


def test_waiting_survives_a_dashboard_that_is_away_for_some_seconds(
    chaos: Chaos, executor: RayJobsApiExecutor, tmp_path: Path
) -> None:
    job_id = executor.submit(
        actions.waits_for_file,
        {"started": str(tmp_path / "s"), "release": str(tmp_path / "r"), "answer": 1, "patience": PATIENCE},
    )
    through = RayJobsApiExecutor(dashboard_address=chaos.url)
    assert through.get_status(job_id) != JobStatus.UNKNOWN
    chaos.pause()
    found: list[Any] = []
    waiting = [
        threading.Thread(target=lambda: found.append(through.get_result(job_id, PATIENCE))),
        threading.Thread(target=lambda: found.append(through.follow(job_id, PATIENCE))),
    ]
    for thread in waiting:
        thread.start()
    time.sleep(8)
    chaos.resume()
    (tmp_path / "r").touch()
    for thread in waiting:
        thread.join()
    assert sorted(found, key=str) == [1, None]
    through.shutdown()


def test_streams_survive_cut_connections(chaos: Chaos, executor: RayJobsApiExecutor) -> None:
    def writes(params: dict[str, Any], ctx: Any) -> None:
        for number in range(400):
            print(f"{number} {'x' * (number % 97)}")
            if number % 40 == 0:
                time.sleep(0.1)

    job_id = executor.submit(writes, {})
    through = RayJobsApiExecutor(dashboard_address=chaos.url)
    plain = threading.Thread(target=lambda: found.append(list(through.stream_logs(job_id, timeout=PATIENCE))))
    found: list[list[str]] = []
    plain.start()

    async def follow() -> list[str]:
        return [line async for line in through.stream_logs_async(job_id, timeout=PATIENCE)]

    found.append(asyncio.run(follow()))
    plain.join()
    expected = [f"{number} {'x' * (number % 97)}\n" for number in range(400)]
    assert [lines[-400:] for lines in found] == [expected, expected]
    assert [len(lines) for lines in found] == [len(found[0])] * 2
    assert chaos.cuts > 3
    through.shutdown()


# -- ending -------------------------------------------------------------------------------------


def test_stop_ends_the_whole_tree(executor: RayJobsApiExecutor, tmp_path: Path) -> None:
    def spawns(params: dict[str, Any], ctx: Any) -> None:
        script = "trap '' TERM; echo $$ > %s; while :; do sleep 0.1; done"
        subprocess.Popen(["setsid", "sh", "-c", script % params["one"]])
        subprocess.Popen(["sh", "-c", f'(setsid sh -c "{script % params["two"]}" &) ; exit']).wait()
        while True:
            time.sleep(0.1)

    job_id = executor.submit(spawns, {"one": str(tmp_path / "one"), "two": str(tmp_path / "two")})
    for name in ("one", "two"):
        until(lambda name=name: (tmp_path / name).exists() and bool((tmp_path / name).read_text().strip()))  # type: ignore[misc]
    assert executor.stop(job_id) is True
    assert executor.get_status(job_id) == JobStatus.STOPPED
    assert executor.stop(job_id) is False
    pids = [int((tmp_path / name).read_text()) for name in ("one", "two")]
    until(lambda: not any(_is_alive(pid) for pid in pids), patience=10)
    with pytest.raises(ExecutionCancelledError):
        executor.get_result(job_id)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_job_that_kills_itself_is_lost_with_its_last_lines(executor: RayJobsApiExecutor) -> None:
    def dies(params: dict[str, Any], ctx: Any) -> None:
        print("last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkerLostError, match="last words"):
        executor.execute(dies, {})


def test_delete_forgets_a_job_that_has_ended(executor: RayJobsApiExecutor, tmp_path: Path) -> None:
    job_id = executor.submit(
        actions.waits_for_file,
        {"started": str(tmp_path / "s"), "release": str(tmp_path / "r"), "answer": 1, "patience": PATIENCE},
    )
    with pytest.raises(ExecutionError, match=f"synapse job cancel {job_id}"):
        executor.delete(job_id)
    (tmp_path / "r").touch()
    executor.wait(job_id, PATIENCE)
    assert executor.delete(job_id) is True
    assert executor.get_status(job_id) == JobStatus.UNKNOWN


def test_unknown_ids_are_named(executor: RayJobsApiExecutor) -> None:
    assert executor.get_status("no-such-job") == JobStatus.UNKNOWN
    for ask in (executor.get_result, executor.get_logs, executor.stream_logs, executor.stop, executor.delete):
        with pytest.raises(JobNotFoundError, match="no-such-job"):
            ask("no-such-job")


def test_another_process_asks_by_id_alone(executor: RayJobsApiExecutor, run_script: Any) -> None:
    job_id = executor.submit(actions.adds, {"left": 41})
    done = run_script(
        """
        import sys
        from synapse_ray.jobs_api.executor import RayJobsApiExecutor
        executor = RayJobsApiExecutor()
        print(executor.get_result(sys.argv[1], 60), executor.get_status(sys.argv[1]), executor.durability(sys.argv[1]))
        """,
        job_id,
    )
    assert done.stdout.split() == ["42", "SUCCEEDED", "cluster"], done.stderr


# -- the cluster's own interpreter --------------------------------------------------------------


def test_the_interpreter_is_the_cluster_s_own(ray_cluster: RayCluster, tmp_path: Path) -> None:
    for name in ("python", "python3"):
        (tmp_path / name).write_text("#!/bin/sh\necho trapped\nexit 3\n")
        (tmp_path / name).chmod(0o755)
    executor = RayJobsApiExecutor(
        dashboard_address=ray_cluster.dashboard_url,
        runtime_env={"env_vars": {"PATH": f"{tmp_path}:/usr/bin:/bin"}},
    )
    assert executor.execute(lambda params, ctx: sys.executable, {}) == sys.executable


# -- wrong addresses ----------------------------------------------------------------------------


@pytest.fixture
def html_server() -> Iterator[str]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_page_that_is_no_dashboard_is_named(html_server: str) -> None:
    with pytest.raises(BackendUnreachableError, match="no Ray dashboard"):
        RayJobsApiExecutor(dashboard_address=html_server).get_status("x")


def test_an_address_where_nobody_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(BackendUnreachableError, match="ray start --head"):
        RayJobsApiExecutor(dashboard_address=f"http://127.0.0.1:{port}").submit(actions.adds, {"left": 1})


def test_a_token_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("HOME", str(tmp_path))

    class Guarded(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_right = self.headers.get("Authorization") == "Bearer right"
            self.send_response(200 if is_right else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"ray_version": "2.60.0"}).encode() if is_right else b"Unauthorized")

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with pytest.raises(AuthenticationError, match="RAY_AUTH_TOKEN_PATH"):
            Dashboard(url).ray_version()
        monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
        with pytest.raises(AuthenticationError, match="did not take"):
            Dashboard(url).ray_version()
        monkeypatch.delenv("RAY_AUTH_TOKEN")
        (tmp_path / "token").write_text("right\n")
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
        assert Dashboard(url).ray_version() == "2.60.0"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.campaign
def test_an_action_that_interrupts_itself_says_so(ray_cluster: RayCluster) -> None:
    def interrupts(params: dict[str, Any], ctx: Any) -> None:
        raise KeyboardInterrupt

    executor = RayJobsApiExecutor(dashboard_address=ray_cluster.dashboard_url)
    with pytest.raises(ExecutionCancelledError, match="its action raised KeyboardInterrupt"):
        executor.get_result(executor.submit(interrupts), PATIENCE)


@pytest.mark.campaign
def test_a_fork_of_the_action_leaves_no_result(executor: RayJobsApiExecutor) -> None:
    assert executor.execute(actions.forks) == [0, 1, 3]


def test_neither_the_submitter_nor_the_driver_imports_ray(ray_cluster: RayCluster, tmp_path: Path) -> None:
    (tmp_path / "looks.py").write_text('import sys\n\n\ndef looks(params, ctx):\n    return "ray" in sys.modules\n')
    code = (
        "import sys; from looks import looks; from synapse_ray import RayJobsApiExecutor\n"
        "executor = RayJobsApiExecutor(dashboard_address=sys.argv[1], working_dir='.')\n"
        "print(executor.execute(looks), 'ray' in sys.modules)"
    )
    command = [sys.executable, "-c", code, ray_cluster.dashboard_url]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "False False\n", done.stderr


def test_an_address_where_no_http_is_spoken_is_no_dashboard(ray_cluster: RayCluster) -> None:
    with pytest.raises(BackendUnreachableError, match="it is no Ray dashboard"):
        RayJobsApiExecutor(dashboard_address=f"http://{ray_cluster.address}").jobs()


# -- without what is needed ---------------------------------------------------------------------


@pytest.mark.campaign  # takes a minute
def test_an_environment_that_cannot_be_made_is_named(
    ray_cluster: RayCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    executor = RayJobsApiExecutor(
        dashboard_address=ray_cluster.dashboard_url,
        runtime_env={"pip": {"packages": ["no-such-package"], "pip_install_options": ["--no-index"]}},
    )
    job_id = executor.submit(lambda params, ctx: 1, {})
    info = executor._dashboard.job(job_id)
    assert info is not None
    secret = f"gcs://{secret_name(str(nonce_of(info.metadata)))}".encode()
    store = control_store(ray_cluster.address)
    assert store.internal_kv_get(secret, None)
    executor.follow(job_id, PATIENCE)
    assert "has not started. Its environment is being made, or" in capsys.readouterr().err  # while Ray tries again
    with pytest.raises(
        BackendError, match=r"(?s)environment could not be made.*No matching distribution found for no-such-package"
    ):
        executor.get_result(job_id, PATIENCE)
    assert "runtime_env" in "".join(executor.stream_logs(job_id))
    assert not store.internal_kv_get(secret, None)  # what it was given, its credentials too
