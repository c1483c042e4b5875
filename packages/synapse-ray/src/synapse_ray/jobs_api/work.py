"""The work of a job as it travels in its secret package."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synapse_core.model.tagged import UnencodableError, decode, encode
from synapse_core.model.type_names import import_type
from synapse_ray.action_spec import ActionSpec
from synapse_ray.jobs_api.buffers import put_back
from synapse_ray.jobs_api.result_files import open_file, value_file
from synapse_ray.wire import Packed
from synapse_ray.worker import WorkerSettings

__all__ = ["DriverWork", "pack_work", "refuse_pickles", "unpack_work"]

_LARGEST = 512 * 1024 * 1024 - 1


@dataclass(frozen=True, slots=True)
class DriverWork:
    """What a driver is to do.

    Attributes:
        job_id: The job.
        spec: The action.
        params: Its params, packed.
        settings: Of the executor; they hold secrets.
        storage: URL of a folder for the result; ``None`` to leave it in the cluster.
    """

    job_id: str
    spec: ActionSpec
    params: Packed
    settings: WorkerSettings
    storage: str | None = None


def pack_work(work: DriverWork) -> bytes:
    """Return the bytes of the package.

    Raises:
        TypeError: The values of ``env`` have no form as data; or all of it is too long for Ray.
    """
    kind, params = work.params
    try:
        settings = dataclasses.asdict(work.settings)
    except TypeError:  # a mapping that cannot be copied deeply
        settings = {
            "env": dict(work.settings.env),
            "variables": dict(work.settings.variables),
        }
    value = {
        "job_id": work.job_id,
        "spec": dataclasses.asdict(work.spec),
        "params": {"kind": kind, "value": params},
        "settings": {**settings, "env": dict(settings["env"])},
        "storage": work.storage,
    }
    pieces = value_file(value)
    content = b"".join(pieces)
    if len(content) > _LARGEST:
        raise TypeError(
            f"the params of action {work.spec.name!r} are {len(content) // 2**20} MiB, and Ray takes no package of "
            "more than 512 MiB. Put the data where the worker can read it, and pass where that is"
        )
    return content


def unpack_work(content: bytes) -> DriverWork:
    """Read what `pack_work` wrote."""
    opened = open_file([content])
    value: Mapping[str, Any] = put_back(decode(opened.data, find_type=import_type), opened.mark, opened.parts)
    return DriverWork(
        job_id=value["job_id"],
        spec=ActionSpec(**value["spec"]),
        params=(value["params"]["kind"], value["params"]["value"]),
        settings=WorkerSettings(**value["settings"]),
        storage=value["storage"],
    )


def refuse_pickles(name: str, packed: Packed, params: Any) -> None:
    """Raise where params have no form as data.

    Args:
        name: The action's name.
        packed: What they were packed to.
        params: As the caller gave them.

    Raises:
        TypeError: They have none.
    """
    if packed[0] == "pickle":
        raise TypeError(
            f"the params of action {name!r} cannot be sent over HTTP, which takes data and no pickles: "
            f"{_unencodable(params)}. Modes 'task' and 'ray-job' take them"
        )


def _unencodable(value: Any) -> str:
    try:
        encode(value)
    except UnencodableError as error:
        return str(error)
    return ""
