"""A folder becomes a package that is named by its contents and that Ray unpacks as it was."""

import hashlib
import io
import os
import shutil
import socket
import stat
import tempfile
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from ray._private.runtime_env.packaging import is_zip_uri, unzip_package

from synapse_core import BackendError
from synapse_ray.packaging import (
    LargePackageWarning,
    PackagingError,
    pack,
    pack_module,
    package as package_module,
    walking,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "plugin"
    write(root, {"config.yaml": b"code: x\n", "plugin/train.py": b"x = 1\n", "run.sh": b"#!/bin/sh\n"})
    (root / "run.sh").chmod(0o755)
    return root


def write(root: Path, files: dict[str, bytes]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def names(root: Path) -> list[str]:
    return [file.path for file in pack(root).files]


def test_a_package_tells_what_is_in_it(folder: Path) -> None:
    package = pack(folder)
    assert [(file.path, file.size, file.executable) for file in package.files] == [
        ("config.yaml", 8, False),
        ("plugin/train.py", 6, False),
        ("run.sh", 10, True),
    ]
    assert package.files[0].digest == hashlib.sha256(b"code: x\n").hexdigest()
    assert (package.folder, package.size) == (folder, 24)
    assert package.file_name == f"synapse_{package.digest[:40]}.zip"
    assert package.uri == f"gcs://{package.file_name}"
    assert is_zip_uri(package.uri)


def test_a_relative_folder_is_found_after_the_process_has_moved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    package = pack("plugin")
    monkeypatch.chdir("/")
    assert package.to_zip() == pack(folder).to_zip()


def test_touching_a_file_changes_nothing(folder: Path) -> None:
    before = pack(folder)
    os.utime(folder / "config.yaml", (1, 1))
    assert pack(folder) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "config.yaml").write_bytes(b"code: y\n"),
        lambda root: (root / "run.sh").rename(root / "start.sh"),
        lambda root: (root / "run.sh").chmod(0o644),
        lambda root: (root / "config.yaml").unlink(),
        lambda root: (root / "new").touch(),
        lambda root: (root / "plugin").rename(root / "code"),
    ],
    ids=["edit", "rename", "executable", "remove", "add", "rename folder"],
)
def test_every_other_change_changes_the_digest(folder: Path, change: object) -> None:
    before = pack(folder)
    change(folder)  # type: ignore[operator]
    assert pack(folder).digest != before.digest


CONTENTS = st.dictionaries(
    st.text("ab/é", min_size=1, max_size=4).map(lambda name: "/".join(part for part in name.split("/") if part) or "a"),
    st.tuples(st.binary(max_size=3), st.booleans()),
    max_size=4,
).filter(lambda files: not any(other.startswith(f"{name}/") for name in files for other in files))


def lay_out(root: str, files: dict[str, tuple[bytes, bool]]) -> Path:
    write(Path(root), {name: content for name, (content, _) in files.items()})
    for name, (_, executable) in files.items():
        (Path(root) / name).chmod(0o700 if executable else 0o600)
    return Path(root)


@settings(max_examples=200, deadline=None)
@given(CONTENTS, CONTENTS)
def test_digests_are_equal_exactly_where_contents_are(
    one: dict[str, tuple[bytes, bool]], other: dict[str, tuple[bytes, bool]]
) -> None:
    with (
        tempfile.TemporaryDirectory() as first,
        tempfile.TemporaryDirectory() as second,
        tempfile.TemporaryDirectory() as third,
    ):
        package = pack(lay_out(first, one))
        assert (package.digest == pack(lay_out(second, other)).digest) == (one == other)
        again = pack(lay_out(third, dict(reversed(list(one.items())))))
        assert again.digest == package.digest
        assert again.to_zip() == package.to_zip()


def test_two_copies_of_a_folder_give_the_same_zip(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)  # the times of the files are new or old as it comes
    os.utime(copy / "run.sh", (5, 5))
    assert pack(copy).to_zip() == pack(folder).to_zip()


def test_ray_unpacks_the_tree_as_it_was(folder: Path, tmp_path: Path) -> None:
    write(folder, {"übung/größe 日本.txt": "ä".encode(), "only/one/deep.bin": bytes(range(256)) * 5000})
    archive, target = tmp_path / "package.zip", tmp_path / "unpacked"
    archive.write_bytes(pack(folder).to_zip())
    # As download_and_unpack_package does with what lies under gcs://.
    unzip_package(str(archive), str(target), remove_top_level_directory=False, unlink_zip=False)
    assert names(target) == ["config.yaml", "only/one/deep.bin", "plugin/train.py", "run.sh", "übung/größe 日本.txt"]
    assert pack(target).digest == pack(folder).digest
    assert stat.S_IMODE((target / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((target / "config.yaml").stat().st_mode) == 0o644


def test_a_single_folder_at_the_top_stays_a_folder(tmp_path: Path) -> None:
    archive, target = tmp_path / "package.zip", tmp_path / "unpacked"
    archive.write_bytes(pack(write(tmp_path / "x", {"plugin/a.py": b""})).to_zip())
    unzip_package(str(archive), str(target), remove_top_level_directory=False, unlink_zip=False)
    assert names(target) == ["plugin/a.py"]


def test_an_empty_folder_is_a_package(tmp_path: Path) -> None:
    package = pack(tmp_path)
    assert (package.size, package.files) == (0, ())
    assert zipfile.ZipFile(io.BytesIO(package.to_zip())).namelist() == []


# -- links and what is no file ----------------------------------------------------------------


def test_links_are_followed_inside_and_outside_of_the_folder(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "shared", {"weights.pt": b"w"})
    (folder / "inside").symlink_to("plugin/train.py")
    (folder / "outside").symlink_to(tmp_path / "shared/weights.pt")
    (folder / "folder").symlink_to(tmp_path / "shared")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, symlinks=False)
    assert {"inside", "outside", "folder/weights.pt"} < set(names(folder))
    assert pack(folder).to_zip() == pack(copy).to_zip()


@pytest.mark.timeout(20)
def test_a_folder_that_is_linked_into_itself_is_packaged_once(folder: Path) -> None:
    before = names(folder)
    (folder / "plugin/loop").symlink_to("..")
    (folder / "plugin/self").symlink_to(".")
    assert names(folder) == before


@pytest.mark.timeout(20)
def test_folders_that_are_linked_into_each_other_end(tmp_path: Path) -> None:
    write(tmp_path / "x", {"a/one": b"", "b/two": b""})
    (tmp_path / "x/a/b").symlink_to("../b")
    (tmp_path / "x/b/a").symlink_to("../a")
    assert names(tmp_path / "x") == ["a/b/two", "a/one", "b/a/one", "b/two"]


def test_a_folder_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_MOST_FILES", 3)
    write(tmp_path, dict.fromkeys("abc", b""))
    assert len(names(tmp_path)) == 3
    write(tmp_path, {"d": b""})
    with pytest.raises(PackagingError, match=r"more than 3 files.*\.synapseignore"):
        pack(tmp_path)


def test_sockets_and_fifos_are_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = names(folder)
    os.mkfifo(folder / "fifo")
    monkeypatch.chdir(folder)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert stat.S_ISSOCK((folder / "socket").stat().st_mode)
        assert names(folder) == before


def test_an_editor_s_lock_is_left_out(folder: Path) -> None:
    before = names(folder)
    (folder / ".#train.py").symlink_to("user@host.1234:5678")
    assert names(folder) == before


@pytest.mark.parametrize("target", ["nowhere", "weights.pt"])
def test_a_link_that_leads_nowhere_is_named_unless_it_is_left_out(folder: Path, target: str) -> None:
    (folder / "weights.pt").symlink_to(target)
    with pytest.raises(PackagingError, match=rf"weights\.pt is a link to {target}.*\.synapseignore"):
        pack(folder)
    (folder / ".synapseignore").write_text("*.pt\n")
    assert "weights.pt" not in names(folder)


# -- what cannot be packaged ------------------------------------------------------------------


def test_an_error_of_packaging_is_one_of_the_backend() -> None:
    assert issubclass(PackagingError, BackendError)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"nothing to package at .*/none: No such file.*working_dir"):
        pack(tmp_path / "none")


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(PackagingError, match=r"config\.yaml is a file.*name the folder"):
        pack(folder / "config.yaml")


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="a file that even root cannot read is Linux's")
def test_an_unreadable_file_is_named(folder: Path) -> None:
    (folder / "memory").symlink_to("/proc/self/mem")
    with pytest.raises(
        PackagingError, match=r"memory is a link to /proc/self/mem.*Input/output error.*\.synapseignore"
    ):
        pack(folder)


def test_an_unreadable_folder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refusing(path: Path) -> object:  # root may read everything
        if Path(path).name == "plugin" and Path(path) != folder:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(walking.os, "scandir", refusing)
    with pytest.raises(PackagingError, match=r"plugin/plugin.* cannot be listed: Permission denied.*\.synapseignore"):
        pack(folder)


@pytest.mark.parametrize("name", [b"a\\b", b"c:x", b"\xff"])
def test_a_name_that_ray_would_drop_silently_is_refused(folder: Path, name: bytes) -> None:
    with open(os.fsencode(folder) + b"/" + name, "w"):
        pass
    with pytest.raises(PackagingError, match=r"the name of .*; rename it"):
        pack(folder)


@pytest.mark.parametrize("content", [b"code: y\n", b"longer than before\n", b""])
def test_a_file_that_changed_meanwhile_is_named(folder: Path, content: bytes) -> None:
    package = pack(folder)
    (folder / "config.yaml").write_bytes(content)
    with pytest.raises(PackagingError, match=r"config\.yaml has changed"):
        package.to_zip()


def test_an_executable_bit_that_changed_meanwhile_is_noticed(folder: Path) -> None:
    package = pack(folder)
    (folder / "run.sh").chmod(0o644)
    with pytest.raises(PackagingError, match=r"run\.sh has changed"):
        package.to_zip()


def test_a_file_that_vanished_meanwhile_is_named(folder: Path) -> None:
    package = pack(folder)
    (folder / "run.sh").unlink()
    with pytest.raises(PackagingError, match=r"run\.sh has gone"):
        package.to_zip()


def sparse(root: Path, sizes: dict[str, int]) -> None:
    for name, mib in sizes.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with open(root / name, "wb") as file:
            file.truncate(mib * 1024 * 1024)


def test_a_folder_that_is_too_large_names_its_biggest_parts(folder: Path) -> None:
    sparse(folder, {"plugin/weights/best.pt": 300, "data/1": 60, "data/2": 90, "data/3": 60, "x": 9, "y": 8, "z": 7})
    with pytest.raises(PackagingError) as caught:
        pack(folder)
    message = str(caught.value)
    assert "holds 534.0 MiB in 10 files, and Ray takes packages of up to 512.0 MiB" in message
    assert "plugin/weights/best.pt (300.0 MiB), data/ (210.0 MiB), x (9.0 MiB), y (8.0 MiB), z (7.0 MiB). " in message
    assert "run.sh" not in message
    assert str(folder / ".synapseignore") in message


def test_a_folder_of_exactly_the_limit_is_packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_module, "_MOST_BYTES", 2 * 1024 * 1024)
    sparse(tmp_path, {"x": 2})
    assert pack(tmp_path).size == 2 * 1024 * 1024
    write(tmp_path, {"y": b"1"})
    with pytest.raises(PackagingError, match=r"2 files"):
        pack(tmp_path)


def test_a_zip_that_is_too_large_for_ray_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_module, "_MOST_BYTES", 1000)
    write(tmp_path, {"noise": os.urandom(1000)})  # does not get smaller, and the zip has its own part
    package = pack(tmp_path)
    with pytest.raises(PackagingError, match=r"noise \(1,000 bytes\)"):
        package.to_zip()


def test_a_large_package_is_warned_of_once(tmp_path: Path) -> None:
    sparse(tmp_path, {"big/weights.pt": 51})
    (tmp_path / "unique").write_bytes(os.urandom(16))
    with pytest.warns(LargePackageWarning, match=r"51\.0 MiB travel.*big/weights\.pt \(51\.0 MiB\)"):
        pack(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pack(tmp_path)


# -- what has to travel; modules --------------------------------------------------------------


def test_what_the_workers_are_to_install_has_to_travel(folder: Path) -> None:
    write(folder, {"wheels/a.whl": b"", "wheels/b.whl": b""})
    pack(folder).require(["wheels/a.whl", "wheels", "."])
    (folder / ".gitignore").write_text("b.whl\n")
    package = pack(folder)
    package.require(["wheels/a.whl"])
    with pytest.raises(PackagingError, match=r"install wheels/b\.whl .*'!wheels/b\.whl' in .*\.synapseignore"):
        package.require(["wheels/a.whl", "wheels/b.whl"])


def test_a_module_keeps_its_folder_s_name(folder: Path, tmp_path: Path) -> None:
    package = pack_module(folder / "plugin")
    assert [file.path for file in package.files] == ["plugin/train.py"]
    archive, target = tmp_path / "package.zip", tmp_path / "unpacked"
    archive.write_bytes(package.to_zip())
    unzip_package(str(archive), str(target), remove_top_level_directory=False, unlink_zip=False)
    assert (target / "plugin/train.py").read_bytes() == b"x = 1\n"


def test_a_module_of_one_file_is_that_file(folder: Path) -> None:
    write(folder, {"plugin/helper.py": b"y = 2\n", "plugin/.gitignore": b"*\n"})
    assert [file.path for file in pack_module(folder / "plugin/helper.py").files] == ["helper.py"]


def test_another_file_is_no_module(folder: Path) -> None:
    with pytest.raises(PackagingError, match=r"neither a folder nor a \.py file"):
        pack_module(folder / "config.yaml")
