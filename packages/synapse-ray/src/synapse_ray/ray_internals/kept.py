"""What is kept in a cluster's memory: packages, secrets and parcels."""

from __future__ import annotations

import os

from synapse_ray.ray_internals.clusters import control_store

__all__ = [
    "drop_parcel",
    "get_parcel",
    "has_package",
    "pin_package",
    "put_package",
    "put_parcel",
    "take_secret",
]

_PIN_SECONDS = 600
_PARCEL_NAMESPACE = b"synapse"
_PARCEL_PIECE = 16 * 2**20


def has_package(uri: str) -> bool:
    """Say whether the connected cluster holds a package under this ``gcs://`` address."""
    from ray.experimental.internal_kv import _internal_kv_exists

    return bool(_internal_kv_exists(uri.encode()))


def put_package(uri: str, content: bytes) -> None:
    """Store a package where Ray's runtime environments look for it."""
    from ray.experimental.internal_kv import _internal_kv_put

    _internal_kv_put(uri.encode(), content)


def pin_package(uri: str) -> None:
    """Keep a package from being collected until somebody refers to it; for as long as Ray keeps those of its own."""
    from ray._private.ray_constants import RAY_RUNTIME_ENV_URI_PIN_EXPIRATION_S_ENV_VAR
    from ray.experimental.internal_kv import _pin_runtime_env_uri

    seconds = int(os.environ.get(RAY_RUNTIME_ENV_URI_PIN_EXPIRATION_S_ENV_VAR, _PIN_SECONDS))
    _pin_runtime_env_uri(uri, expiration_s=seconds)


def take_secret(address: str, uri: str) -> bytes | None:
    """Return what was stored under a ``gcs://`` address and delete it there, without a connection of this process."""
    store = control_store(address)
    found: bytes | None = store.internal_kv_get(uri.encode(), None)
    if found is not None:
        store.internal_kv_del(uri.encode(), False, None)
    return found


def put_parcel(name: str, content: bytes) -> None:
    """Store bytes in the cluster's memory, where no interface shows them, until `drop_parcel`."""
    from ray.experimental.internal_kv import _internal_kv_put

    for number, at in enumerate(range(0, max(len(content), 1), _PARCEL_PIECE)):
        key = f"parcel/{name}/{number}".encode()
        _internal_kv_put(key, content[at : at + _PARCEL_PIECE], namespace=_PARCEL_NAMESPACE)


def get_parcel(name: str, size: int) -> bytes | None:
    """Return what `put_parcel` stored; ``None`` where some of it is gone."""
    from ray.experimental.internal_kv import _internal_kv_get

    pieces = []
    for number in range(max(1, -(-size // _PARCEL_PIECE))):
        pieces.append(_internal_kv_get(f"parcel/{name}/{number}".encode(), namespace=_PARCEL_NAMESPACE) or b"")
    found = b"".join(pieces)
    return found if len(found) == size else None


def drop_parcel(name: str) -> None:
    """Forget what `put_parcel` stored."""
    from ray.experimental.internal_kv import _internal_kv_del

    _internal_kv_del(f"parcel/{name}/".encode(), del_by_prefix=True, namespace=_PARCEL_NAMESPACE)
