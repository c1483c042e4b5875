"""What the README shows is what one sees."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from synapse_cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)
    assert found, f"README.md has no {language} block"
    return found[1]


def numbers_left_out(text: str) -> list[str]:
    """Return the lines without numbers and times, which are different on another machine."""
    return re.sub(r"\d+([.:]\d+)*", "#", text).strip().splitlines()


def test_the_two_commands_are_there() -> None:
    assert "pip install uv && uv run synapse plugin run train --path examples/digits\n" in README
    assert "pip install uv && uv run pytest\n" in README


def test_the_python_example_is_short_and_prints_what_it_says(tmp_path: Path) -> None:
    example = block("python")
    assert len(example.splitlines()) <= 12
    (tmp_path / "mean.py").write_text(example, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "mean.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == block("text")


def test_training_the_digits_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command, _, promised = block("console").partition("\n")
    assert command == "$ uv run synapse plugin run train --path examples/digits --params '{\"epochs\": 3}'"
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIGITS_HOME", raising=False)
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), pytest.raises(SystemExit) as ended:
        main(shlex.split(command)[4:])
    assert not ended.value.code
    found = output.getvalue().replace(f"{tmp_path}/", "…/")
    assert numbers_left_out(found) == numbers_left_out(promised)
