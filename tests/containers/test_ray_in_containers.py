"""The same action on a cluster of containers, with the client outside of them, and what a lost node takes along."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from synapse_core import run_plugin
from synapse_core.errors import WorkerLostError

from .conftest import StartScript
from .ray_containers import RayContainers

pytest.importorskip("ray")

from synapse_ray import RayJobsApiExecutor

CENSUS = Path(__file__).parent / "census"
COUNT = "plugin.actions:CountAction"
PARAMS = {"text": "one two three twenty"}
PATIENCE = 120
ON_A_WORKER = {"num_gpus": 0.2}  # only workers have a GPU, a logical one

pytestmark = [pytest.mark.containers, pytest.mark.ray, pytest.mark.timeout(600), pytest.mark.campaign]


def test_the_jobs_api_gives_what_local_gives_and_its_lines_in_order(cluster: RayContainers) -> None:
    executor = RayJobsApiExecutor(dashboard_address=cluster.dashboard_url, working_dir=CENSUS)
    job_id = executor.submit(COUNT, PARAMS)
    lines = list(executor.stream_logs(job_id, timeout=PATIENCE))
    assert executor.get_result(job_id, timeout=PATIENCE) == run_plugin(CENSUS, "count", PARAMS, mode="local")
    assert executor.get_status(job_id) == "SUCCEEDED"
    told = [line for line in lines if "word " in line or "counted" in line]
    assert [line[line.index("word ") :] for line in told[:-1]] == [
        f"word {number}: {word}\n" for number, word in enumerate(PARAMS["text"].split(), start=1)
    ]
    assert told[-1].endswith("counted on head\n")


def test_warm_actors_and_detached_jobs_answer_a_process_of_the_host(
    cluster: RayContainers, start_script: StartScript
) -> None:
    client = start_script(
        """
        from synapse_ray import RayActorExecutor, RayJobExecutor

        address, folder, action, params = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
        with RayActorExecutor(ray_address=address, working_dir=folder) as executor:
            warm = [executor.execute(action, params).model_dump() for _ in range(2)]
        jobs = RayJobExecutor(ray_address=address, working_dir=folder)
        job_id = jobs.submit(action, params)
        say(warm=warm, job=jobs.get_result(job_id, 120).model_dump(), job_id=job_id, logs=jobs.get_logs(job_id))
        """,
        cluster.client_address,
        CENSUS,
        COUNT,
        json.dumps(PARAMS),
    )
    heard = client.hear()
    expected = run_plugin(CENSUS, "count", PARAMS, mode="local").model_dump()
    assert heard["warm"] == [expected, expected]
    assert heard["job"] == expected
    assert "counted on head" in heard["logs"]


class Lost(NamedTuple):
    """What became of the work on a node that was killed.

    Attributes:
        finished: Id of a job of the Jobs API whose result was made there.
        held: Id of one that was running there.
        told: What a client on `ray://` heard of its own work there.
    """

    finished: str
    held: str
    told: dict[str, Any]


@pytest.fixture(scope="module")
def jobs_api(cluster: RayContainers) -> RayJobsApiExecutor:
    return RayJobsApiExecutor(dashboard_address=cluster.dashboard_url, working_dir=CENSUS, **ON_A_WORKER)


@pytest.fixture(scope="module")
def lost(cluster: RayContainers, start_script: StartScript, jobs_api: RayJobsApiExecutor) -> Lost:
    """Kill a worker on which one job of each kind has finished and one of each is running, and start another one."""
    worker = cluster.start_worker("first")
    client = start_script(
        """
        import threading
        from synapse_ray import RayActorExecutor, RayJobExecutor

        address, folder = sys.argv[1:]
        hold, hold_again = "plugin.actions:HoldAction", "plugin.actions:HoldAgainAction"


        class Holding(threading.Event):
            def emit(self, event):
                self.set()

            def close(self):
                pass


        def outcome(get, *args):
            try:
                return {"result": get(*args)}
            except Exception as error:
                return {"error": type(error).__name__, "text": str(error)}


        def call_actor():
            told["actor"] = outcome(actor.execute, hold, {"host": "first"})


        jobs = RayJobExecutor(ray_address=address, working_dir=folder, num_gpus=0.2)
        finished = jobs.submit("plugin.actions:where")
        jobs.wait(finished, 120)
        once, again = (jobs.submit(action, {"host": "first"}) for action in (hold, hold_again))
        told, holding = {}, Holding()
        actor = RayActorExecutor(ray_address=address, working_dir=folder, num_gpus=0.2, sink=holding)
        caller = threading.Thread(target=call_actor, daemon=True)
        caller.start()
        for job_id in (once, again):
            next(line for line in jobs.stream_logs(job_id, 120) if "holding on first" in line)
        assert holding.wait(120), told
        say(holding=True)
        told["once"] = outcome(jobs.get_result, once, 120)
        told["again"] = outcome(jobs.get_result, again, 120)
        told["finished"] = outcome(jobs.get_result, finished, 120)
        caller.join(120)
        say(**told)
        """,
        cluster.client_address,
        CENSUS,
    )
    finished = jobs_api.submit("plugin.actions:where")
    jobs_api.wait(finished, PATIENCE)
    held = jobs_api.submit("plugin.actions:HoldAction", {"host": "first"})
    next(line for line in jobs_api.stream_logs(held, timeout=PATIENCE) if "holding on first" in line)
    client.hear()
    cluster.kill(worker)
    cluster.start_worker("second")
    return Lost(finished, held, client.hear())


def test_a_job_whose_node_is_lost_has_failed_for_that_reason(lost: Lost, jobs_api: RayJobsApiExecutor) -> None:
    assert lost.told["once"]["error"] == "WorkerLostError"
    with pytest.raises(WorkerLostError):
        jobs_api.get_result(lost.held, timeout=PATIENCE)


def test_a_call_whose_actor_went_with_its_node_fails_for_that_reason(lost: Lost) -> None:
    assert lost.told["actor"]["error"] == "WorkerLostError"


def test_an_idempotent_job_whose_node_is_lost_is_run_again_on_another(lost: Lost) -> None:
    assert lost.told["again"] == {"result": "second"}


def test_a_finished_result_outlives_the_node_that_made_it(lost: Lost, jobs_api: RayJobsApiExecutor) -> None:
    assert lost.told["finished"] == {"result": "first"}
    assert jobs_api.durability(lost.finished) == "cluster"
    assert jobs_api.get_result(lost.finished, timeout=PATIENCE) == "first"
