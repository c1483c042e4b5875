"""The code and the environment of workers: what of this machine goes to the cluster, and in which form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synapse_ray.options import RayOptions
from synapse_ray.packaging import FolderWatch, Package, pack_module
from synapse_ray.runtime_env import RuntimeEnvRequest, build_runtime_env, local_py_modules, local_working_dir
from synapse_ray.settings import travelling_values
from synapse_ray.worker import WorkerSettings

__all__ = ["Shipment", "Shipped", "upload", "upload_packages"]


@dataclass(frozen=True, slots=True)
class Shipped:
    """One version of what workers get.

    Attributes:
        version: Digest of the code and the environment; another one means another worker.
        runtime_env: For Ray; holds no secret.
        settings: For the worker's constructor.
        packages: What has to be in the cluster before a worker is made; `upload` sees to it.
    """

    version: str
    runtime_env: dict[str, Any]
    settings: WorkerSettings
    packages: tuple[Package, ...]


class Shipment:
    """What one executor ships; safe to use from many threads.

    Args:
        options: Of the executor.
        folder: The folder that workers get as their working directory; ``None`` for none.
    """

    def __init__(self, options: RayOptions, folder: Path | None) -> None:
        self._options = options
        self._request = RuntimeEnvRequest(
            runtime_env=options.runtime_env,
            working_dir=folder,
            requirements_file=options.requirements_file,
            package_manager=options.package_manager,
            package_manager_options=options.package_manager_options,
            wheels_dir=options.wheels_dir,
        )
        found = local_working_dir(self._request)
        excludes = tuple((options.runtime_env or {}).get("excludes") or ())
        self._watch = None if found is None else FolderWatch(found, extra_excludes=excludes)
        # Libraries of the caller's, not the plugin that is being written: taken as they are now.
        self._modules = tuple(pack_module(module) for module in local_py_modules(options.runtime_env))
        self._last: tuple[Package | None, Shipped] | None = None

    def current(self) -> Shipped:
        """Return what workers get now; the folder is looked at no more than once a second.

        Raises:
            BackendError: The folder cannot be packaged, or requirements contradict each other.
            ConfigError: A requirements file is broken.
        """
        code = None if self._watch is None else self._watch.current()
        last = self._last  # read at once: another thread may replace it
        if last is not None and last[0] is code:
            return last[1]
        shipped = self._ship(code)
        self._last = (code, shipped)
        return shipped

    def _ship(self, code: Package | None) -> Shipped:
        modules = self._modules
        if self._options.include_sdk:
            from synapse_ray.sdk_package import pack_sdk

            sdk = pack_sdk()
        else:
            sdk = None
        built = build_runtime_env(
            self._request,
            package_uri=None if code is None else code.uri,
            py_module_uris=tuple(package.uri for package in modules),
        )
        if code is not None:
            code.require(built.travelling)
        runtime_env = dict(built.runtime_env)
        if sdk is not None:
            runtime_env["py_modules"] = [*runtime_env.get("py_modules", ()), sdk.uri]
        settings = WorkerSettings(travelling_values(self._options.env), dict(built.secrets))
        described = json.dumps(runtime_env, sort_keys=True, default=repr)
        version = hashlib.sha256(described.encode()).hexdigest()
        packages = tuple(package for package in (code, *modules, sdk) if package is not None)
        return Shipped(version, runtime_env, settings, packages)


def upload(shipped: Shipped) -> None:
    """Do what `upload_packages` does for all that one version of the workers needs."""
    upload_packages(shipped.packages)


def upload_packages(packages: Iterable[Package]) -> None:
    """See to it that the connected cluster has the packages; called before every making of a worker.

    A package that no worker refers to any more disappears from the cluster after a while, and with it would go
    whatever is made from it later.
    """
    from synapse_ray.ray_internals import has_package, is_client_connection, pin_package, put_package

    # Over Ray's client protocol nothing can be pinned: asking for it never returns. What was never pinned, or referred
    # to by a worker, is not collected either.
    can_pin = not is_client_connection()
    for package in packages:
        if can_pin:
            pin_package(package.uri)  # first: what is there stays there
        if not has_package(package.uri):
            put_package(package.uri, package.to_zip())
