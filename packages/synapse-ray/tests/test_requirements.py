"""Requirement files as pip reads them, made fit for a worker."""

import ensurepip
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from synapse_core import ConfigError
from synapse_ray.requirements import (
    WORKING_DIR,
    Requirements,
    find_wheels,
    hide_passwords,
    holds_password,
    read_lines,
    read_requirements,
    wheel_lines,
)


def read(folder: Path, text: str, **files: str) -> Requirements:
    (folder / "requirements.txt").write_text(text)
    for name, content in files.items():
        (folder / f"{name}.txt").write_text(content)
    return read_requirements(folder / "requirements.txt", working_dir=folder)


def bare(requirements: Requirements) -> list[str]:
    """The packages without the comments that name contents."""
    return [line.partition("  # ")[0] for line in requirements.packages]


def wheel(folder: Path, name: str = "six", version: str = "1.0", code: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", code)
        info = f"{name}-{version}.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_packages_are_lines_without_comments(tmp_path: Path) -> None:
    text = "# first\n\nnumpy>=1.26  # arrays\n  torch==2.0.0 ; python_version > '3.10'\nray[default]\nnumpy>=1.26\n"
    assert read(tmp_path, text) == Requirements(
        ("numpy>=1.26", "torch==2.0.0 ; python_version > '3.10'", "ray[default]")
    )


def test_lines_that_end_with_a_backslash_go_on(tmp_path: Path) -> None:
    text = (
        "numpy==2.0 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\n# a comment \\\nattrs\nsix \\\n# in between\n"
    )
    assert read(tmp_path, text).packages == (
        "numpy==2.0     --hash=sha256:abc     --hash=sha256:def",
        "attrs",
        "six",
    )


@pytest.mark.parametrize(
    "line",
    [
        "pkg @ https://example.com/pkg-1.0.zip",
        "pkg[extra] @ git+ssh://git@github.com/org/pkg.git@v1#egg=pkg",
        "https://example.com/pkg-1.0-py3-none-any.whl",
        "git+https://github.com/org/pkg.git",
        "pkg==${VERSION}",
        "pkg @ https://${USER}:${TOKEN}@example.com/pkg.zip",
        "pkg @ file:///opt/wheels/pkg-1.0-py3-none-any.whl",
        "/opt/wheels/pkg-1.0-py3-none-any.whl",
        "${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/libs/pkg-1.0-py3-none-any.whl",
    ],
)
def test_what_a_worker_can_fetch_stays_as_it_is(tmp_path: Path, line: str) -> None:
    assert read(tmp_path, line) == Requirements((line,))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_are_read_as_editors_write_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "requirements.txt").write_text("numpy\r\nattrs  # naïve\r\n", encoding=encoding)
    assert read_requirements(tmp_path / "requirements.txt").packages == ("numpy", "attrs")


def test_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"numpy\nattrs # na\xefve\n")
    with pytest.raises(ConfigError, match=r"requirements\.txt:2: not UTF-8"):
        read_requirements(tmp_path / "requirements.txt")


def test_options_are_kept_apart(tmp_path: Path) -> None:
    text = "--index-url https://example.com/simple\nnumpy\n-i https://b.example\n--extra-index-url=https://c.example\n--no-index\n--pre\n-f https://example.com/wheels\n--only-binary :all:\n"
    assert read(tmp_path, text) == Requirements(
        ("numpy",),
        (
            "--index-url https://example.com/simple",
            "-i https://b.example",
            "--extra-index-url=https://c.example",
            "--no-index",
            "--pre",
            "-f https://example.com/wheels",
            "--only-binary :all:",
        ),
    )


# -- includes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-r {}", "-r{}", "--requirement {}", "--requirement={}", "-r '{}'"])
def test_included_files_are_read_relative_to_the_one_that_includes(tmp_path: Path, option: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/base.txt").write_text("-r more.txt\nattrs\n")
    (tmp_path / "sub/more.txt").write_text("six\n")
    assert read(tmp_path, f"numpy\n{option.format('sub/base.txt')}\n").packages == ("numpy", "six", "attrs")


def test_a_file_may_be_included_twice(tmp_path: Path) -> None:
    assert read(tmp_path, "-r a.txt\n-r b.txt\n", a="-r c.txt\n", b="-r c.txt\n", c="six\n").packages == ("six",)


@pytest.mark.parametrize("option", ["-r", "-c"])
def test_a_file_that_includes_itself_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(
        ConfigError, match=r"a\.txt:2: .*includes itself: .*requirements\.txt -> .*a\.txt -> .*requirements\.txt"
    ):
        read(tmp_path, "-r a.txt\n", a=f"six\n{option} requirements.txt\n")


@pytest.mark.parametrize("option", ["-r", "-c"])
def test_a_missing_include_is_an_error_of_the_line_that_names_it(tmp_path: Path, option: str) -> None:
    with pytest.raises(ConfigError, match=r"requirements\.txt:2: .*none\.txt cannot be read: No such file") as caught:
        read(tmp_path, f"six\n{option} none.txt\n")
    assert (caught.value.path, caught.value.line) == (str(tmp_path / "requirements.txt"), 2)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the requirements file .*none\.txt cannot be read: No such file"):
        read_requirements(tmp_path / "none.txt")


def test_constraints_hold_back_and_are_not_installed(tmp_path: Path) -> None:
    found = read(tmp_path, "numpy\n-c limits.txt\n", limits="attrs<99\n")
    assert found.packages == ("numpy",)
    assert found.options[0].startswith(f"-c {WORKING_DIR}/limits.txt  # ")
    assert found.travelling == ("limits.txt",)


def test_a_url_is_no_file_to_include(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r":1: -r takes no URL on a worker; download"):
        read(tmp_path, "-r https://example.com/requirements.txt\n")
    assert read(tmp_path, "-c https://example.com/c.txt\n").options == ("-c https://example.com/c.txt",)


# -- broken lines -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("numpy=>1.0", "'numpy=>1.0' is not a requirement"),
        ("two words", "'two words' is not a requirement"),
        ("--indx-url https://x.example", "unknown option '--indx-url'. Did you mean '--index-url'"),
        ("--no-deps", "belong in package_manager_options"),
        ("--index-url", "--index-url needs a value"),
        ("-r", "-r needs a value"),
        ("--pre yes", "--pre takes no value"),
        ("-e .", "nothing can be installed editable"),
        ("--editable=./lib", "write its path without -e"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"six\n\n{line}\n")
    assert f"{tmp_path / 'requirements.txt'}:3: " in str(caught.value)
    assert problem in str(caught.value)
    assert caught.value.line == 3


# -- passwords --------------------------------------------------------------------------------

SECRET_LINES = [
    "--index-url https://user:hunter2@host.example/simple",
    "--extra-index-url=https://:hunter2@host.example/simple",
    "-f https://user:hunter2@host.example/wheels",
    "pkg @ https://user:hunter2@host.example/pkg.zip",
    "pkg @ https://hunter2hunter2hunter2@host.example/pkg.zip",
    "git+https://ghp_hunter2hunter2hunter2@github.com/org/pkg.git",
    "pkg @ https://host.example/pkg.zip?access_token=hunter2",
    "-r https://user:hunter2@host.example/requirements.txt",
]


@pytest.mark.parametrize("line", SECRET_LINES)
def test_a_password_is_refused_and_not_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(
        ConfigError, match=r"requirements\.txt:1: a password.*Ray shows.*pip\.conf.*netrc.*keyring"
    ) as caught:
        read(tmp_path, line)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__context__)


@pytest.mark.parametrize("line", SECRET_LINES)
def test_passwords_are_hidden_in_texts(line: str) -> None:
    assert holds_password(line)
    shown = hide_passwords(f"cannot install {line} today")
    assert "hunter2" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/simple",
        "git+ssh://git@github.com/org/repository-of-some-length.git",
        "https://oauth2accesstoken@europe-python.pkg.dev/simple",
        "https://${USER}:${TOKEN}@example.com/simple",
        "numpy==2.0 --hash=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "https://example.com/pkg.zip?download=1",
    ],
)
def test_what_holds_no_password_is_shown(text: str) -> None:
    assert not holds_password(text)
    assert hide_passwords(text) == text


@given(
    st.text("abcXYZ019-_.", min_size=1), st.text("abcXYZ019-_.%!$*", min_size=1).filter(lambda text: "${" not in text)
)
def test_no_password_is_ever_shown(user: str, password: str) -> None:
    secret = f"q{password}q"
    shown = hide_passwords(f"fetching https://{user}:{secret}@index.example/simple failed")
    assert secret not in shown
    assert "index.example" in shown


# -- what lies on this machine ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("./wheels/six-1.0-py3-none-any.whl", "{}/wheels/six-1.0-py3-none-any.whl"),
        ("wheels/six-1.0-py3-none-any.whl", "{}/wheels/six-1.0-py3-none-any.whl"),
        ("./wheels/six-1.0-py3-none-any.whl[extra]", "{}/wheels/six-1.0-py3-none-any.whl[extra]"),
        ("./wheels/six-1.0-py3-none-any.whl ; python_version > '3'", "{}/wheels/six-1.0-py3-none-any.whl ; python_version > '3'"),
        ("six @ ./wheels/six-1.0-py3-none-any.whl", "six @ file://{}/wheels/six-1.0-py3-none-any.whl"),
        ("./wheels/../wheels/six-1.0-py3-none-any.whl", "{}/wheels/six-1.0-py3-none-any.whl"),
        ("./lib", "{}/lib"),
        (".", "{}"),
    ],
)  # fmt: skip
def test_a_path_in_the_plugin_is_one_on_the_node(tmp_path: Path, line: str, expected: str) -> None:
    wheel(tmp_path / "wheels")
    (tmp_path / "lib").mkdir()
    assert bare(read(tmp_path, line)) == [expected.format(WORKING_DIR)]


def test_an_absolute_path_in_the_plugin_is_one_on_the_node(tmp_path: Path) -> None:
    path = wheel(tmp_path / "wheels")
    found = read(tmp_path, str(path))
    assert bare(found) == [f"{WORKING_DIR}/wheels/{path.name}"]
    assert found.travelling == (f"wheels/{path.name}",)


def test_a_folder_of_links_is_one_on_the_node(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels")
    (option,) = read(tmp_path, "--find-links ./wheels").options
    assert option.partition("  # ")[0] == f"--find-links {WORKING_DIR}/wheels"


def test_a_wheel_with_new_contents_is_another_requirement(tmp_path: Path) -> None:
    # Ray keeps an environment under its list: an equal line would never be installed again.
    wheel(tmp_path / "wheels", code="x = 1")
    first = read(tmp_path, "./wheels/six-1.0-py3-none-any.whl")
    assert read(tmp_path, "./wheels/six-1.0-py3-none-any.whl") == first
    wheel(tmp_path / "wheels", code="x = 2")
    second = read(tmp_path, "./wheels/six-1.0-py3-none-any.whl")
    assert bare(second) == bare(first)
    assert second != first


def test_a_path_that_does_not_travel_is_an_error(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    wheel(tmp_path)
    plugin.mkdir()
    with pytest.raises(ConfigError, match=r"outside of working_dir \(.*plugin\).*Put it into the plugin's folder"):
        read(plugin, "../six-1.0-py3-none-any.whl")
    with pytest.raises(ConfigError, match=r"there is no working_dir"):
        read_requirements(plugin / "requirements.txt")


def test_a_missing_wheel_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r":1: there is no './none-1\.0-py3-none-any\.whl'"):
        read(tmp_path, "./none-1.0-py3-none-any.whl")


def test_lines_in_code_are_read_alike(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels")
    (tmp_path / "more.txt").write_text("attrs\n")
    found = read_lines(
        ["numpy  # arrays", "./wheels/six-1.0-py3-none-any.whl", "-r more.txt"], "pip", working_dir=tmp_path
    )
    assert bare(found) == ["numpy", f"{WORKING_DIR}/wheels/six-1.0-py3-none-any.whl", "attrs"]
    with pytest.raises(ConfigError, match=r"^pip\[1\]: 'a b' is not"):
        read_lines(["numpy", "a b"], "pip")
    with pytest.raises(ConfigError, match=r"^pip\[0\]: expected a requirement as text, found a int"):
        read_lines([3], "pip")  # type: ignore[list-item]


# The wheel of pip that comes with Python runs as it is: an environment made by uv has no pip.
PIP = [sys.executable, str(next(Path(ensurepip.__path__[0]).glob("_bundled/pip-*.whl")) / "pip")]
UV = [sys.executable, "-m", "uv", "pip"]


@pytest.mark.parametrize("installer", [PIP, UV], ids=["pip", "uv"])
def test_installers_understand_the_lines(tmp_path: Path, installer: list[str]) -> None:
    plugin = tmp_path / "a plugin"
    wheel(plugin / "wheels", "synapse_alpha")
    wheel(plugin / "links", "synapse_beta")
    (plugin / "limits.txt").write_text("synapse_beta<2\n")
    found = read(
        plugin, "-f links\n-c limits.txt\nsynapse_beta\nsynapse_alpha @ ./wheels/synapse_alpha-1.0-py3-none-any.whl\n"
    )
    generated = tmp_path / "generated.txt"
    generated.write_text("\n".join([*found.options, *found.packages]))
    # A link stands for the folder on the node, whose path has no spaces.
    (tmp_path / "node").symlink_to(plugin)
    done = subprocess.run(
        [*installer, "install", "--no-index", "--target", str(tmp_path / "out"), "-r", str(generated)],
        env={**os.environ, "RAY_RUNTIME_ENV_CREATE_WORKING_DIR": str(tmp_path / "node")},
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert {"synapse_alpha.py", "synapse_beta.py"} <= {path.name for path in (tmp_path / "out").iterdir()}


# -- wheels -----------------------------------------------------------------------------------


def test_wheels_are_found_by_name_order(tmp_path: Path) -> None:
    for name in ("zeta", "alpha"):
        wheel(tmp_path / "wheels", name)
    (tmp_path / "wheels/readme.md").touch()
    wheel(tmp_path / "wheels/deeper", "beta")
    assert find_wheels(tmp_path, "wheels") == ("wheels/alpha-1.0-py3-none-any.whl", "wheels/zeta-1.0-py3-none-any.whl")
    assert find_wheels(tmp_path, "none") == ()
    assert find_wheels(tmp_path / "wheels", ".") == ("alpha-1.0-py3-none-any.whl", "zeta-1.0-py3-none-any.whl")


def test_wheels_lie_in_the_folder_that_travels(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"wheels_dir: '\.\./other' leads out of"):
        find_wheels(tmp_path, "../other")
    (tmp_path / "wheels").touch()
    with pytest.raises(ConfigError, match=r"wheels is a file; name the folder"):
        find_wheels(tmp_path, "wheels")


@pytest.mark.parametrize("name", ["six.whl", "six-1.0.whl", "six-one-py3-none-any.whl", "si x-1.0-py3-none-any.whl"])
def test_a_broken_wheel_name_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / name).touch()
    with pytest.raises(ConfigError, match=rf"wheels/{name} does not have the name of a wheel"):
        find_wheels(tmp_path, "wheels")


def test_wheels_are_requirements_that_travel(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels")
    found = wheel_lines(tmp_path, find_wheels(tmp_path, "wheels"))
    assert bare(found) == [f"{WORKING_DIR}/wheels/six-1.0-py3-none-any.whl"]
    assert found.packages == read(tmp_path, "./wheels/six-1.0-py3-none-any.whl").packages
    assert found.travelling == ("wheels/six-1.0-py3-none-any.whl",)
