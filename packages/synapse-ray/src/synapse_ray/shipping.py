"""The code and the environment of workers: what of this machine goes to the cluster, and in which form."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synapse_ray.options import RayOptions
from synapse_ray.packaging import FolderWatch, Package, pack_module
from synapse_ray.runtime_env import RuntimeEnvRequest, build_runtime_env, local_py_modules, local_working_dir
from synapse_ray.settings import travelling_values
from synapse_ray.worker import WorkerSettings

__all__ = ["Shipment", "Shipments", "Shipped", "upload", "upload_packages"]

_FRESH_SECONDS = 1.0
_INCLUDED = re.compile(rb"^\s*(?:-r|--requirement)[\s=]*([^\s#]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Shipped:
    """One version of what workers get.

    Attributes:
        version: Digest of the code, the environment and the settings; another one means another worker. It stays in
            this process.
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

    An edited folder or requirements file, and another token in the environment, are seen after a second at the latest.

    Args:
        options: Of the executor.
        folder: The folder that workers get as their working directory; ``None`` for none.
        clock: Seconds, never going back.
    """

    def __init__(
        self, options: RayOptions, folder: Path | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
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
        self._watch = None if found is None else FolderWatch(found, extra_excludes=excludes, clock=clock)
        self._requirements = tuple(_requirements_files(self._request, found))
        # Libraries of the caller's, not the plugin that is being written: taken as they are now.
        self._modules = tuple(pack_module(module) for module in local_py_modules(options.runtime_env))
        self._last: tuple[Package | None, tuple[str, ...], Shipped] | None = None
        self._fresh_until = float("-inf")

    def current(self) -> Shipped:
        """Return what workers get now; nothing is looked at more than once a second.

        Raises:
            BackendError: The folder cannot be packaged, or requirements contradict each other.
            ConfigError: A requirements file is broken.
        """
        code = None if self._watch is None else self._watch.current()
        last = self._last  # read at once: another thread may replace it
        if last is not None and last[0] is code and self._clock() < self._fresh_until:
            return last[2]
        with self._lock:
            now = self._clock()
            values = travelling_values(self._options.env)
            beside = (_digest(repr(values)), *_content_digests(self._requirements))
            if self._last is None or self._last[0] is not code or self._last[1] != beside:
                shipped = self._ship(code, values)
                if self._last is not None and self._last[2].version == shipped.version:
                    shipped = self._last[2]
                self._last = (code, beside, shipped)
            self._fresh_until = now + _FRESH_SECONDS
            return self._last[2]

    def _ship(self, code: Package | None, values: Mapping[str, Any]) -> Shipped:
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
        settings = WorkerSettings(values, dict(built.secrets))
        described = json.dumps(runtime_env, sort_keys=True, default=repr)
        version = _digest(described, repr(values), repr(built.secrets))
        packages = tuple(package for package in (code, *modules, sdk) if package is not None)
        return Shipped(version, runtime_env, settings, packages)


class Shipments:
    """The shipments of one executor, one for each folder, made when it is first asked for. Safe to use from threads.

    Args:
        options: Of the executor.
    """

    def __init__(self, options: RayOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._made: dict[Path | None, Shipment] = {}

    def current(self, folder: Path | None) -> Shipped:
        """Return what workers with this folder get now; raises as `Shipment.current` does."""
        with self._lock:
            shipment = self._made.get(folder)
            if shipment is None:
                shipment = self._made[folder] = Shipment(self._options, folder)
        return shipment.current()


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


def upload_sdk() -> str:
    """See to it that the connected cluster has the Synapse packages of this environment; return their address.

    Raises:
        BackendError: They are of different versions.
    """
    from synapse_ray.sdk_package import pack_sdk

    package = pack_sdk()
    upload_packages((package,))
    return package.uri


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="backslashreplace")).hexdigest()


def _requirements_files(request: RuntimeEnvRequest, folder: Path | None) -> Iterable[Path]:
    """Yield the requirements files that may be read for a request, whether they are there or not."""
    if request.requirements_file is not None:
        yield Path(request.requirements_file)
    elif folder is not None:
        yield folder / "requirements.txt"  # it may include one from elsewhere
    for manager in ("pip", "uv"):
        named = (request.runtime_env or {}).get(manager)
        if isinstance(named, Mapping):
            named = named.get("packages")
        if isinstance(named, (str, os.PathLike)):
            yield Path(named).expanduser().absolute()


def _content_digests(paths: Iterable[Path]) -> Iterable[str]:
    """Yield a digest of each requirements file, and of those that it includes: they may lie beside the folder."""
    left, seen = list(paths), set()
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            content = path.read_bytes()
        except OSError:  # reading it as requirements says what is wrong
            content = b""
        yield hashlib.sha256(content).hexdigest()
        left += [path.parent / os.fsdecode(name) for name in _INCLUDED.findall(content)]
