"""The Synapse packages of this environment as one package for workers: what ``include_sdk=True`` ships."""

from __future__ import annotations

import atexit
import importlib.metadata
import importlib.util
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from synapse_core.errors import BackendError
from synapse_ray.packaging import Package, pack

__all__ = ["pack_sdk"]

_DISTRIBUTIONS = (
    "synapse-cli",
    "synapse-core",
    "synapse-dask",
    "synapse-flow",
    "synapse-local",
    "synapse-pipeline",
    "synapse-ray",
    "synapse-remote",
    "synapse-sdk-compat",
    "synapse-service",
    "synapse-testing",
    "zoopipe-compat",
)
_METADATA_FILES = ("METADATA", "entry_points.txt")

_lock = threading.Lock()
_made: Package | None = None


def pack_sdk() -> Package:
    """Return all installed Synapse packages and facades as one package, made once per process.

    It is to be unpacked on the import path. The metadata travels too, so that workers find the backends.

    Raises:
        BackendError: They are of different versions; workers would get a mixture that nobody has tested.
    """
    global _made
    with _lock:
        if _made is None:
            stage = Path(tempfile.mkdtemp(prefix="synapse-sdk-"))
            atexit.register(shutil.rmtree, stage, ignore_errors=True)
            _fill(stage)
            _made = pack(stage)
        return _made


def _fill(stage: Path) -> None:
    found = list(_installed())
    versions = {distribution.version for distribution in found}
    if len(versions) > 1:
        named = ", ".join(f"{distribution.name} {distribution.version}" for distribution in found)
        raise BackendError(f"include_sdk: the Synapse packages here are of several versions: {named}. Install one")
    for distribution in found:
        for module in _modules(distribution):
            _copy_module(module, stage)
        metadata = stage / f"{distribution.name.replace('-', '_')}-{distribution.version}.dist-info"
        metadata.mkdir()
        for name in _METADATA_FILES:
            if (text := distribution.read_text(name)) is not None:
                (metadata / name).write_text(text, encoding="utf-8")


def _installed() -> Iterator[importlib.metadata.Distribution]:
    for name in _DISTRIBUTIONS:
        try:
            yield importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def _modules(distribution: importlib.metadata.Distribution) -> list[str]:
    """Return the top-level modules; an editable install lists no files, so they follow from the names."""
    package = distribution.name.replace("-", "_").removesuffix("_compat")
    hosts = {entry.module for entry in distribution.entry_points if entry.group == "synapse.backends"}
    return [package, *sorted(hosts)]


def _copy_module(name: str, stage: Path) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BackendError(f"include_sdk: the module {name} is installed and cannot be found")
    source = Path(spec.origin)
    if spec.submodule_search_locations is None:
        shutil.copy2(source, stage / source.name)
    else:
        shutil.copytree(source.parent, stage / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
