"""The image of a cluster's node: Ray and our wheels. Built without network, from what the host has gathered."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
from testcontainers.core.image import DockerImage

from .base_image import base_image

__all__ = ["cluster_image"]

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_UV = (sys.executable, "-m", "uv", "--quiet")
_DEPENDENCIES = "synapse-testing/ray-dependencies"
# What `pip install synapse-ray` brings of ours: a cluster needs no more.
_OURS = ("synapse-core", "synapse-ray")


@contextlib.contextmanager
def cluster_image(client: docker.DockerClient) -> Iterator[str]:
    """Build the image for the length of the block. What does not change with our code stays for the next time."""
    dependencies = _dependencies_image(client)
    with tempfile.TemporaryDirectory(prefix="synapse-image-") as name:
        context = Path(name)
        shutil.copy(_HERE / "Dockerfile", context)
        for package in _OURS:
            _uv("build", "--wheel", "--package", package, "--out-dir", str(context / "wheels"))
        with _image(context, dependencies, clean_up=True) as image:
            yield image.short_id


def _dependencies_image(client: docker.DockerClient) -> str:
    """Return the image with all that is not ours; built when the lock or the Python has changed."""
    requirements = _uv(
        "export", "--frozen", "--no-hashes", "--no-dev", "--no-emit-workspace", "--package", "synapse-ray"
    )
    base = base_image(client)
    recipe = (_HERE / "dependencies.Dockerfile").read_text()
    locked = [line for line in requirements.splitlines() if not line.lstrip().startswith("#")]
    digest = hashlib.sha256("\n".join([client.images.get(base).id or base, recipe, *locked]).encode()).hexdigest()
    tag = f"{_DEPENDENCIES}:{digest[:16]}"
    with contextlib.suppress(docker.errors.ImageNotFound):
        client.images.get(tag)
        return tag
    with tempfile.TemporaryDirectory(prefix="synapse-image-") as name:
        context = Path(name)
        (context / "Dockerfile").write_text(recipe)
        (context / "requirements.txt").write_text("\n".join(locked))
        # Out of uv's cache, where `uv sync` has put them already.
        _uv(
            "pip", "install", "--no-deps", "--python", sys.executable, *_platform_options(client),
            "--target", str(context / "packages"), "-r", str(context / "requirements.txt"),
        )  # fmt: skip
        _image(context, base, clean_up=False, tag=tag).build()
    for image in client.images.list(name=_DEPENDENCIES):
        if tag not in image.tags:
            with contextlib.suppress(docker.errors.APIError):  # in use elsewhere
                client.images.remove(image.id or "")
    return tag


def _image(context: Path, base: str, *, clean_up: bool, tag: str | None = None) -> DockerImage:
    options = {"buildargs": {"BASE": base}, "network_mode": "none", "forcerm": True}
    return DockerImage(path=context, tag=tag, clean_up=clean_up, **options)


def _platform_options(client: docker.DockerClient) -> list[str]:
    """Ask for the containers' wheels, where the host is of another kind."""
    if platform.system() == "Linux":
        return []
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[client.version()["Arch"]]
    return ["--python-platform", f"{machine}-manylinux_2_28"]


def _uv(*arguments: str) -> str:
    done = subprocess.run([*_UV, *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout
