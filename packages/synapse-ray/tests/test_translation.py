"""What Ray raises, in the words of Synapse; no exception of Ray's gets out."""

import pytest
from ray import exceptions as ray_errors

from synapse_core.errors import (
    AuthenticationError,
    BackendError,
    BackendUnreachableError,
    ExecutionCancelledError,
    ExecutionTimeoutError,
    PluginError,
    WorkerLostError,
)
from synapse_ray.translation import translated

PIP = """Failed to set up runtime environment.
Could not create the actor because its associated runtime env failed to be created.
Traceback (most recent call last):
  File "/x/ray/_private/runtime_env/agent/runtime_env_agent.py", line 387, in _create_runtime_env_with_retry
    runtime_env_context = await asyncio.wait_for(
ERROR: Could not find a version that satisfies the requirement no-such-package-at-all (from versions: none)
ERROR: No matching distribution found for no-such-package-at-all
"""


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ray_errors.RuntimeEnvSetupError(PIP), BackendError, "No matching distribution found for no-such-package"),
        (ray_errors.OutOfMemoryError("killed"), WorkerLostError, "memory="),
        (ray_errors.ActorUnschedulableError("no node with GPU: 9"), BackendError, "no node can ever run it"),
        (ray_errors.GetTimeoutError("late"), ExecutionTimeoutError, "goes on"),
        (ray_errors.TaskCancelledError(), ExecutionCancelledError, "cancelled"),
        (ray_errors.WorkerCrashedError(), WorkerLostError, "idempotent = True"),
        (ray_errors.ActorDiedError(), WorkerLostError, "died before it had answered"),
        (ray_errors.LocalRayletDiedError(), WorkerLostError, "died"),
        (ConnectionError("Could not find any running Ray instance."), BackendUnreachableError, "ray start --head"),
        (RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.1"), BackendError, "Ray: 2.1"),
        (RuntimeError("no authentication token was found"), AuthenticationError, "RAY_AUTH_TOKEN_PATH"),
        (RuntimeError("Failed to connect to GCS."), BackendUnreachableError, "ray start --head"),
        (RuntimeError("the connector of the camera is loose"), BackendError, "RuntimeError"),
        (ray_errors.RaySystemError("broken"), BackendError, "RaySystemError"),
    ],
)
def test_an_error_of_rays_is_one_of_ours(error: Exception, kind: type[PluginError], words: str) -> None:
    found = translated(error, "running action 'train'")
    assert type(found) is kind
    assert words in str(found)
    assert str(found).startswith("running action 'train': ")


def _death(reason: str) -> ray_errors.ActorDiedError:
    died = ray_errors.ActorDiedError()
    died.error_msg = f"The actor died unexpectedly: ModuleNotFoundError: {reason}"
    return died


@pytest.mark.parametrize("name", ["synapse_core", "synapse_ray", "pydantic"])
def test_what_a_node_lacks_is_named_with_the_ways_to_bring_it(name: str) -> None:
    died = _death(f"No module named '{name}.errors'")
    found = translated(died, "starting a worker")
    assert type(found) is BackendError
    for words in (name.replace("_", "-"), "pip install synapse-ray", "requirements.txt", "include_sdk=True"):
        assert words in str(found)


def test_a_module_of_the_users_own_is_not_taken_for_one_of_ours() -> None:
    died = _death("No module named 'synapse_of_mine'")
    assert type(translated(died, "starting a worker")) is WorkerLostError


def test_a_dead_worker_is_told_without_guesses_and_with_where_its_last_words_are() -> None:
    died = ray_errors.RayActorError("0badc0de")
    died.error_msg = "The actor is dead because its worker process has died. Some common causes include: (1) this"
    shown = str(translated(died, "working"))
    assert "its worker process has died. Whether" in shown
    assert "common causes" not in shown
    assert "`ray logs actor --id 0badc0de` shows what it printed last" in shown
    died.error_msg = "The actor died because its node has died. Node Id: f00"
    assert "ray logs" not in str(translated(died, "working"))


def test_an_error_of_ours_stays_as_it_is() -> None:
    error = BackendError("as it is")
    assert translated(error, "anything") is error


def test_the_frames_of_rays_own_code_are_left_out() -> None:
    text = str(translated(ray_errors.RuntimeEnvSetupError(PIP), "making an actor"))
    assert "runtime_env_agent.py" not in text
    assert "wait_for" not in text
