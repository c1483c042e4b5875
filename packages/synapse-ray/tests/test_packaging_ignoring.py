"""Ignore files mean what git takes them for."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from synapse_ray.packaging import pack


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def names(root: Path, *excludes: str) -> set[str]:
    return {file.path for file in pack(root, extra_excludes=excludes).files}


NAMES = ["a", "b", "ab", "a.py", "b c", "!a", "#a", "[a]", "a]", "\\a"]
PIECES = ["a", "b", "*", "**", "***", "?", "/", "[ab]", "[!a]", "[^a]", "[]a]", "[a-b]", "[[:alpha:]]", "[", "\\", ".py", " ", "!", "#", "c", "]", "-", "**/", "/**", "/**/"]  # fmt: skip
LINES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)
IDIOMS = ["*", "!*/", "!*.py", "/*", "!/a", "a/", "!a/", "a/**", "!a/b", "**/b", "a/**/b", "*.py", "b c", "\\!a", "\\#a", "a/*", "!a/*.py"]  # fmt: skip
FILES = st.lists(
    st.lists(st.sampled_from([name for name in NAMES if "\\" not in name]), min_size=1, max_size=4).map("/".join),
    min_size=1,
    max_size=8,
)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@settings(max_examples=150, deadline=None)
@given(
    files=FILES,
    lines=st.lists(LINES | st.sampled_from(IDIOMS), max_size=5),
    nested=st.lists(LINES | st.sampled_from(IDIOMS), max_size=3),
)
def test_the_files_that_travel_are_those_that_git_would_add(
    files: list[str], lines: list[str], nested: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in files:
            place = root / name
            if not any((root / parent).is_file() for parent in Path(name).parents) and not place.is_dir():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
        (root / ".gitignore").write_text("\n".join(lines))
        if (root / "a").is_dir():
            (root / "a/.gitignore").write_text("\n".join(nested))
        clean = {"PATH": os.environ["PATH"], "HOME": temporary, "GIT_CONFIG_NOSYSTEM": "1"}
        git = ["git", "-c", "core.excludesFile=/dev/null", "-c", "core.quotePath=false"]
        subprocess.run([*git, "init", "-q"], cwd=root, env=clean, check=True)
        listed = subprocess.run(
            [*git, "ls-files", "-z", "--others", "--exclude-standard"],
            cwd=root,
            env=clean,
            check=True,
            capture_output=True,
        )
        assert names(root) == set(filter(None, listed.stdout.decode().split("\0")))


def test_every_kind_of_ignore_file_counts_in_every_folder(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            ".gitignore": "*.log\n/anchored.txt\n",
            ".rayignore": "data/\n",
            ".synapseignore": "secret.key\n",
            "sub/.synapseignore": "local.txt\n!kept.log\n",
            **dict.fromkeys(
                ["x.log", "anchored.txt", "sub/anchored.txt", "data/x", "secret.key", "sub/secret.key", "sub/local.txt",
                 "local.txt", "sub/kept.log", "sub/y.log"],
                "",
            ),
        },
    )  # fmt: skip
    ignore_files = {".gitignore", ".rayignore", ".synapseignore", "sub/.synapseignore"}
    assert names(tmp_path) - ignore_files == {"sub/anchored.txt", "local.txt", "sub/kept.log"}


def test_synapseignore_takes_in_what_gitignore_leaves_out(tmp_path: Path) -> None:
    tree(tmp_path, {".gitignore": "*.pt\n", ".synapseignore": "!best.pt\n", "best.pt": "", "last.pt": ""})
    assert names(tmp_path) == {".gitignore", ".synapseignore", "best.pt"}


def test_the_caller_s_excludes_outweigh_every_file(tmp_path: Path) -> None:
    tree(tmp_path, {".synapseignore": "!*.pt\n", "best.pt": "", "a/best.pt": "", "a/x.py": ""})
    assert names(tmp_path, "*.pt") == {".synapseignore", "a/x.py"}


def test_the_config_file_travels_whatever_the_ignore_files_say(tmp_path: Path) -> None:
    tree(tmp_path, {".gitignore": "*\n!.gitignore\n", "config.yaml": "", "sub/config.yaml": "", "x": ""})
    assert names(tmp_path) == {".gitignore", "config.yaml"}


@pytest.mark.parametrize(
    "left_out",
    [".git/config", ".hg/x", ".svn/x", "__pycache__/a.pyc", "a.pyc", "sub/.ipynb_checkpoints/x", "node_modules/x/y.js",
     ".pytest_cache/x", ".mypy_cache/x", ".ruff_cache/x", ".tox/x", ".nox/x", ".DS_Store", ".env", "sub/.env",
     ".env.production", ".envrc", "myenv/pyvenv.cfg", "sub/conda/conda-meta/history"],
)  # fmt: skip
def test_what_no_worker_needs_is_left_out_even_if_it_is_asked_for(tmp_path: Path, left_out: str) -> None:
    tree(tmp_path, {left_out: "x", "plugin.py": "", ".synapseignore": "!*\n"})
    assert names(tmp_path) == {"plugin.py", ".synapseignore"}


def test_a_hidden_file_and_one_of_a_similar_name_travel(tmp_path: Path) -> None:
    tree(tmp_path, {".streamlit/config": "", "environment": "", "env.py": "", "gitignore": ""})
    assert names(tmp_path) == {".streamlit/config", "environment", "env.py", "gitignore"}


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_pattern(tmp_path: Path) -> None:
    tree(tmp_path, {"a.log": "", "b.tmp": "", "c": ""})
    (tmp_path / ".gitignore").write_bytes("\ufeff*.log\r\n*.tmp\r\n".encode())
    assert names(tmp_path) == {".gitignore", "c"}
