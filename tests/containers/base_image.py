"""The base of the images: python:…-slim, or where nothing can be pulled, this machine's interpreter."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import docker
import docker.errors

from synapse_testing import require_service

__all__ = ["base_image"]

_IMPORTED = "synapse-testing/python"

# What Ray, pip and the commands of jobs call.
_TOOLS = ("bash", "sh", "env", "cat", "grep", "kill", "ls", "mkdir", "ps", "rm", "sed", "sleep", "tr", "uname")

# Loaded by name, or needed by wheels and not by the interpreter.
_EXTRA_LIBRARIES = (
    "libgcc_s.so.1", "libstdc++.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libresolv.so.2",
    "libnss_files.so.2", "libnss_dns.so.2",
)  # fmt: skip
_LEFT_OUT = re.compile(r"/(test|idlelib|tkinter|turtledemo|site-packages|config-\d[^/]*)$|\.a$")


def base_image(client: docker.DockerClient) -> str:
    """Return an image with Python of this interpreter's very version, pulled or made here.

    Ray refuses a direct driver whose Python differs in the patch number from the cluster's, and warns a client.
    """
    version = platform.python_version()
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    pulled, imported = f"python:{version}-slim", f"{_IMPORTED}:{version}-{recipe}"
    for name in (pulled, imported):
        with contextlib.suppress(docker.errors.ImageNotFound):
            client.images.get(name)
            return name
    try:
        client.images.pull(pulled)
    except docker.errors.APIError as error:
        if platform.system() != "Linux":
            require_service(f"the image {pulled} cannot be pulled: {error.explanation or error}; `docker pull` it")
    else:
        return pulled
    with tempfile.TemporaryFile() as archive:
        _write_root(archive)
        archive.seek(0)
        path = f"{Path(sys.base_prefix, 'bin')}:/usr/local/bin:/usr/bin:/bin"
        client.api.import_image_from_data(
            archive,
            repository=_IMPORTED,
            tag=imported.partition(":")[2],
            changes=[f"ENV PATH={path}", "ENV LANG=C.UTF-8"],
        )
    client.images.get(imported)
    return imported


def _write_root(target: io.BufferedIOBase) -> None:
    """Write the files of a machine on which this interpreter, pip and a shell run, and little else."""
    interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    tools = [Path(found) for name in _TOOLS if (found := shutil.which(name, path="/usr/bin:/bin"))]
    with tarfile.open(fileobj=target, mode="w") as tar:
        for folder, mode in (("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777)):
            _add_folder(tar, folder, mode)
        for name, target in _folder_links().items():
            _add_link(tar, name, target)
        _add_text(tar, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        _add_text(tar, "etc/group", "root:x:0:\n")
        _add_text(tar, "etc/nsswitch.conf", "hosts: files dns\n")
        for name in {"python", "python3"} - {interpreter.name}:
            _add_link(tar, f"{sys.base_prefix}/bin/{name}", str(interpreter))
        tar.add(library, filter=_without_ballast)
        for pip in glob.glob(f"{library}/site-packages/pip*"):
            tar.add(pip)
        programs = [interpreter, *tools]
        libraries = _libraries([*programs, *library.glob("lib-dynload/*.so")])
        for name, file in {_placed(file): file for file in (*programs, *libraries)}.items():
            _add_file(tar, name, file)


def _without_ballast(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if _LEFT_OUT.search(f"/{member.name}") else member


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """Return what the dynamic loader loads for the programs, itself included, under the names that it uses."""
    listing = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    found = {Path(path) for path in re.findall(r"(/\S+) \(0x", listing)}
    home = next(path.parent for path in found if path.name == "libc.so.6")
    return found | {home / name for name in _EXTRA_LIBRARIES if (home / name).exists()}


def _folder_links() -> dict[str, str]:
    """Return the links among the folders of the machine: ``bin`` to ``usr/bin`` and so on, where it has them."""
    return {
        folder.name: os.readlink(folder) for name in ("bin", "lib", "lib64") if (folder := Path("/", name)).is_symlink()
    }


def _placed(file: Path) -> str:
    """Return the file's name in the archive, which must not lead through those links."""
    first, *rest = file.parts[1:]
    return str(Path(_folder_links().get(first, first), *rest))


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> None:
    content = path.resolve()
    member = tar.gettarinfo(content, arcname=name)
    with content.open("rb") as file:
        tar.addfile(member, file)


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    tar.addfile(member)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    tar.addfile(member, io.BytesIO(text.encode()))


def _add_link(tar: tarfile.TarFile, path: str, target: str) -> None:
    member = tarfile.TarInfo(path.lstrip("/"))
    member.type, member.linkname = tarfile.SYMTYPE, target
    tar.addfile(member)
