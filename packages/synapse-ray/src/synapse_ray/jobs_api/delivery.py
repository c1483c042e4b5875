"""Where a job's result is put, so that it is there when its driver, and perhaps its node, is gone."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from synapse_core.model.outcome import Outcome
from synapse_core.safe_text import safe_str
from synapse_ray.jobs_api.node_files import NodePlace, write_whole
from synapse_ray.jobs_api.result_files import outcome_file
from synapse_ray.jobs_api.work import JobWork

__all__ = ["KEPT_IN_CLUSTER", "deliver"]

KEPT_IN_CLUSTER = 16 * 1024 * 1024
"""Bytes of the longest result that survives the loss of the node that made it."""


def deliver(outcome: Outcome | None, value: Any, work: JobWork, place: NodePlace, folder: Path) -> None:
    """Write the result, and then a note that says how long it lasts.

    Raises:
        OSError: A disk is full.
        BackendError: The storage does not take it.
    """
    durability = "cluster" if place.is_head else "node"
    write_whole(folder / "result", outcome_file(outcome, value, {}))
    size = (folder / "result").stat().st_size
    if work.storage is not None:
        from synapse_ray.jobs_api.storage import put_result

        put_result(work.storage, work.job_id, folder.name, folder / "result")
        durability = "external"
    if not place.is_head and size <= KEPT_IN_CLUSTER and _copy_to_head(folder, durability, size):
        durability = "external" if durability == "external" else "cluster"
    write_whole(folder / "about", [_note(durability, size)])


def _note(durability: str, size: int) -> bytes:
    return json.dumps({"durability": durability, "bytes": size}).encode()


def _copy_to_head(folder: Path, durability: str, size: int) -> bool:
    """Write result and note on the head node too; ``False`` where that fails, which costs durability only."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    note = _note("external" if durability == "external" else "cluster", size)
    files = {"result": (folder / "result").read_bytes(), "about": note}

    # By value, and of the standard library alone: the head need not have what the job's own environment has.
    def write(where: str, contents: dict[str, bytes]) -> None:
        import pathlib

        target = pathlib.Path(where)
        target.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            unfinished = target / f".{name}.unfinished"
            unfinished.write_bytes(content)
            unfinished.replace(target / name)

    try:
        if not ray.is_initialized():
            ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False, logging_level=logging.ERROR)
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        heads = [node["NodeID"] for node in nodes if node["Alive"] and "node:__internal_head__" in node["Resources"]]
        task = ray.remote(num_cpus=0, max_retries=0)(write)
        pinned = task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(heads[0], soft=False))
        ray.get(pinned.remote(str(folder), files), timeout=60)
    except Exception as error:  # the result is safe on this node
        print(f"synapse: the result could not be copied to the head node: {safe_str(error)}", flush=True)
        return False
    return True
