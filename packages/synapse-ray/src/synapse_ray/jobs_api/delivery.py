"""Where a job's result is put, so that it is there when its driver, and perhaps its node, is gone."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

from synapse_core.errors import BackendError
from synapse_core.model.outcome import Outcome
from synapse_core.safe_text import safe_str
from synapse_ray.jobs_api.node_files import NodePlace, write_whole
from synapse_ray.jobs_api.result_files import outcome_file
from synapse_ray.jobs_api.work import DriverWork
from synapse_ray.ray_internals import (
    cluster_id_at,
    cluster_id_of_connection,
    forget_job_environment,
    log_folder_writer,
)

__all__ = ["KEPT_IN_CLUSTER", "keep_result"]

KEPT_IN_CLUSTER = 16 * 1024 * 1024
"""Bytes of the longest result that survives the loss of the node that made it."""


def keep_result(outcome: Outcome | None, value: Any, work: DriverWork, place: NodePlace, folder: Path) -> None:
    """Write the result, and then a note that says how long it lasts.

    What the storage does not take lasts as long as without one, and the job's log says so.

    Raises:
        OSError: A disk is full.
    """
    durability = "cluster" if place.is_head else "node"
    write_whole(folder / "result", outcome_file(outcome, value))
    size = (folder / "result").stat().st_size
    if work.storage is not None:
        from synapse_ray.jobs_api.storage import put_result

        try:
            put_result(work.storage, work.job_id, folder.name, folder / "result")
            durability = "external"
        except BackendError as error:  # the result of hours is not given up for that
            _say(f"synapse: the result is not in the storage: {error}")
    note = _note(durability, size)
    if not place.is_head and size <= KEPT_IN_CLUSTER:
        kept = _note("external" if durability == "external" else "cluster", size)
        files = {"result": (folder / "result").read_bytes(), "about": kept}
        if _copy_to_head(place.cluster, str(folder.relative_to(place.logs)), files):
            note = kept
    write_whole(folder / "about", [note])


def _note(durability: str, size: int) -> bytes:
    return json.dumps({"durability": durability, "bytes": size}).encode()


def _copy_to_head(cluster: str, folder: str, files: dict[str, bytes]) -> bool:
    """Write files into the head node's log folder too; ``False`` where that fails, which costs durability only."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    try:
        if not ray.is_initialized():
            forget_job_environment()  # the head need not have, nor install, what the job's environment has
            ray.init(address=cluster, log_to_driver=False, logging_level=logging.ERROR)
        elif cluster_id_of_connection() != cluster_id_at(cluster):
            raise RuntimeError("the action has connected this process to another cluster")
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        heads = [node["NodeID"] for node in nodes if node["Alive"] and "node:__internal_head__" in node["Resources"]]
        task = ray.remote(num_cpus=0, max_retries=0)(log_folder_writer())
        pinned = task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(heads[0], soft=False))
        ray.get(pinned.remote(folder, files), timeout=60)
    except Exception as error:  # the result is safe on this node
        _say(f"synapse: the result could not be copied to the head node: {safe_str(error)}")
        return False
    return True


def _say(line: str) -> None:
    """Write into the job's log; an action may have closed it, or its disk be full."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
