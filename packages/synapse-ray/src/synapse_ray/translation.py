"""What Ray raises, as errors of Synapse. Every exception of Ray's is translated here, once, at the edge."""

from __future__ import annotations

import os
import re

from ray import exceptions as ray_errors

from synapse_core.errors import (
    BackendError,
    BackendUnreachableError,
    ExecutionCancelledError,
    ExecutionTimeoutError,
    PluginError,
)
from synapse_core.safe_text import safe_str
from synapse_ray.auth_token import auth_headers, wants_token
from synapse_ray.missing_packages import missing_package
from synapse_ray.ray_texts import first_line, last_lines, worker_lost

__all__ = ["is_about_token", "refuse_missing_token", "translated"]

_START_ONE = "Start one with `ray start --head`"
_WANTS_TOKEN = re.compile(r"(?i)authentication token|InvalidAuthToken|Unauthenticated:")
_AUTHENTICATION_ERRORS = getattr(ray_errors, "AuthenticationError", ())  # Ray has it from 2.52 on
# Where Ray raises a RuntimeError for it.
_NO_CONNECTION = re.compile(
    r"(failed|unable|could not|cannot) (to )?connect\b|\bnot connected\b|connection refused", re.IGNORECASE
)
_DEEPEST = 10


def translated(error: BaseException, doing: str, *, address: str | None = None) -> PluginError:
    """Return the error to raise, ``from`` the original, for one of Ray's.

    Args:
        error: What Ray raised.
        doing: What was being done, as a participle: ``"running action 'train'"``.
        address: The cluster's address, where that helps.
    """
    if isinstance(error, PluginError):
        return error
    text = safe_str(error)
    at = f" at {address}" if address else ""
    if is_about_token(error):
        return wants_token(f"{doing}: the cluster{at}", found=bool(auth_headers()))
    if isinstance(error, ray_errors.RayActorError) and (missing := missing_package(text)) is not None:
        return BackendError(f"{doing}: {missing}")
    if isinstance(error, ray_errors.RuntimeEnvSetupError):
        return BackendError(
            f"{doing}: the environment could not be made on the node. Mend requirements.txt, wheels or runtime_env. "
            f"The installer said:\n{last_lines(text)}"
        )
    if isinstance(error, (ray_errors.ActorUnschedulableError, ray_errors.TaskUnschedulableError)):
        return BackendError(f"{doing}: no node can ever run it: {first_line(text)}")
    if isinstance(error, ray_errors.GetTimeoutError):
        return ExecutionTimeoutError(f"{doing}: not finished in time; the work goes on")
    if isinstance(error, ray_errors.TaskCancelledError):
        return ExecutionCancelledError(f"{doing}: it was cancelled")
    if isinstance(
        error,
        (
            ray_errors.OutOfMemoryError,
            ray_errors.RayActorError,
            ray_errors.WorkerCrashedError,
            ray_errors.NodeDiedError,
            ray_errors.ObjectLostError,
            ray_errors.LocalRayletDiedError,
        ),
    ):
        return worker_lost(doing, text, original_type=type(error).__name__, actor_id=getattr(error, "actor_id", None))
    if "Version mismatch" in text:
        return BackendError(f"{doing}: {_one_line(text)}. Install the same Ray and Python minor version on both sides")
    if isinstance(error, (ConnectionError, ray_errors.RpcError)) or _NO_CONNECTION.search(text):
        return BackendUnreachableError(f"{doing}: no Ray cluster answers{at}: {first_line(text)}. {_START_ONE}")
    return BackendError(f"{doing}: Ray failed with {type(error).__name__}: {first_line(text)}")


def refuse_missing_token(address: str | None = None) -> None:
    """Raise where Ray's own client would not only fail but end this process: the token that it is to use is not there.

    Args:
        address: The cluster that is to be connected to; ``None`` where Ray may start one, and make a token for it.

    Raises:
        AuthenticationError: There is no token in any of the places.
    """
    mode = os.environ.get("RAY_AUTH_MODE", "").lower()
    is_named = mode != "disabled" and os.environ.get("RAY_AUTH_TOKEN_PATH") and not os.environ.get("RAY_AUTH_TOKEN")
    if (is_named or (mode == "token" and address is not None)) and not auth_headers():
        raise wants_token(f"connecting: the cluster{f' at {address}' if address else ''}", found=False)


def is_about_token(error: BaseException | None) -> bool:
    """Say whether Ray refuses because of a token that is missing or wrong."""
    for _ in range(_DEEPEST):
        if error is None:
            break
        if isinstance(error, _AUTHENTICATION_ERRORS) or _WANTS_TOKEN.search(safe_str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _one_line(text: str) -> str:
    return " ".join(text.split())
