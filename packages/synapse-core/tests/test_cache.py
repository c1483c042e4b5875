"""The cache folder is the user's own, and files in it are whole."""

import os
import stat
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from synapse_core.cache import cache_folder, write_atomically

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="about owners and homes of POSIX systems")


@pytest.fixture
def chosen(monkeypatch):
    def choose(**variables):
        for name in ("SYNAPSE_CACHE_DIR", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        cache_folder.cache_clear()
        return cache_folder()

    return choose


def test_the_folder_is_made_where_the_user_says_and_is_closed_to_others(tmp_path, chosen):
    wanted = tmp_path / "deep" / "below"
    assert chosen(SYNAPSE_CACHE_DIR=wanted) == str(wanted)
    assert stat.S_IMODE(wanted.stat().st_mode) == 0o700


def test_a_tilde_in_the_setting_is_the_users_home(tmp_path, chosen):
    assert chosen(SYNAPSE_CACHE_DIR="~/mine", HOME=tmp_path) == str(tmp_path / "mine")


def test_a_relative_setting_does_not_follow_the_working_directory(tmp_path, chosen, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert chosen(SYNAPSE_CACHE_DIR="mine") == str(tmp_path / "mine")
    monkeypatch.chdir("/")
    assert cache_folder() == str(tmp_path / "mine")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no XDG_CACHE_HOME")
def test_the_default_is_the_platforms_cache_folder(tmp_path, chosen):
    assert chosen(XDG_CACHE_HOME=tmp_path / "xdg", HOME=tmp_path) == str(tmp_path / "xdg" / "synapse")
    assert chosen(HOME=tmp_path) == str(tmp_path / ".cache" / "synapse")


@pytest.mark.parametrize("home", ["/dev/null/nobody", "not/absolute"])
def test_without_a_usable_home_the_folder_is_among_the_temporary_ones(tmp_path, chosen, monkeypatch, home):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert chosen(HOME=home) == str(tmp_path / f"synapse-{os.getuid()}")


def test_a_chosen_folder_that_cannot_be_is_none_at_all(tmp_path, chosen):
    (tmp_path / "file").write_text("")
    assert chosen(SYNAPSE_CACHE_DIR=tmp_path / "file") is None
    assert chosen(SYNAPSE_CACHE_DIR=tmp_path / "file" / "below") is None


def test_a_folder_that_somebody_else_owns_is_refused(tmp_path, chosen):
    foreign = Path("/")
    if os.getuid() == 0:
        foreign = tmp_path / "theirs"
        foreign.mkdir(mode=0o777)
        os.chown(foreign, 65534, -1)
    assert chosen(SYNAPSE_CACHE_DIR=foreign) is None


@pytest.mark.parametrize(
    ("mode", "as_chosen", "as_usual"),
    [(0o700, True, True), (0o755, True, True), (0o770, True, False), (0o777, False, False), (0o1777, True, False)],
    ids=oct,
)
def test_a_folder_that_others_can_write_into_is_refused(tmp_path, chosen, monkeypatch, mode, as_chosen, as_usual):
    folder = tmp_path / "synapse"
    folder.mkdir()
    folder.chmod(mode)
    assert chosen(SYNAPSE_CACHE_DIR=folder) == (str(folder) if as_chosen else None)
    temporary = tmp_path / f"synapse-{os.getuid()}"
    folder.rename(temporary)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert chosen(HOME="/dev/null/nobody") == (str(temporary) if as_usual else None)
    if sys.platform != "darwin":
        temporary.rename(folder)
        found = chosen(XDG_CACHE_HOME=tmp_path)
        assert found == str(folder if as_usual else temporary)  # the next place is made anew


def test_a_link_in_the_temporary_folder_is_refused_and_one_at_home_is_not(tmp_path, chosen, monkeypatch):
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (tmp_path / f"synapse-{os.getuid()}").symlink_to(real)
    (tmp_path / "synapse").symlink_to(real)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert chosen(HOME="/dev/null/nobody") is None
    assert chosen(SYNAPSE_CACHE_DIR=tmp_path / "synapse") == str(tmp_path / "synapse")
    if sys.platform != "darwin":
        assert chosen(XDG_CACHE_HOME=tmp_path) == str(tmp_path / "synapse")
        if os.getuid() == 0:
            os.chown(tmp_path / "synapse", 65534, -1, follow_symlinks=False)
            assert chosen(XDG_CACHE_HOME=tmp_path) is None


def test_a_folder_that_is_read_only_is_refused(chosen):
    with tempfile.TemporaryDirectory() as folder:
        closed = Path(folder, "closed")
        closed.mkdir(mode=0o500)
        assert _as_ordinary_user(lambda: chosen(SYNAPSE_CACHE_DIR=closed) is None, folder, closed)


def _as_ordinary_user(check: Callable[[], bool], *folders: str | Path) -> bool:
    """Return what `check` says in a child that is not root, who may write everywhere; it owns `folders`."""
    if os.getuid() != 0:
        return check()
    for folder in folders:
        os.chown(folder, 65534, -1)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_many_writers_of_one_file_leave_one_whole_content(tmp_path):
    path = tmp_path / "below" / "file"
    contents = [bytes([65 + n]) * 100_000 for n in range(8)]
    seen = []

    def work(content):
        write_atomically(str(path), content)
        seen.append(path.read_bytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, contents * 4))
    assert set(seen) <= set(contents)
    assert os.listdir(path.parent) == ["file"]


def test_a_write_that_fails_keeps_the_old_content_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_atomically(str(path), b"old")
    with pytest.raises(TypeError):
        write_atomically(str(path), "text is no bytes")
    assert path.read_bytes() == b"old"
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_atomically(str(tmp_path / "folder"), b"new")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
