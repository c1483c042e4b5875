"""A plugin with flows, written for one test, and `synapse flow` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROWS = 1000

MODEL = """
from pydantic import BaseModel, Field

class Person(BaseModel):
    id: int
    name: str = Field(min_length=1)
    age: int = Field(ge=0, le=150)
"""

HOOKS = """
import time
from pathlib import Path

from synapse_flow import BaseHook

class Upper(BaseHook):
    def execute(self, entries, store):
        for entry in entries:
            entry["raw_data"]["name"] = entry["raw_data"]["name"].upper()
        return entries

class Add(BaseHook):
    def __init__(self, field: str, value: int = 0, priority: int = 50):
        super().__init__(priority)
        self.field, self.value = field, value

    def execute(self, entries, store):
        for entry in entries:
            entry["validated_data"][self.field] = self.value
        return entries

class Gate(BaseHook):
    '''At one record it says that it is there, and waits until it may go on.'''

    def __init__(self, folder: str, at: int):
        super().__init__()
        self.folder, self.at = Path(folder), str(at)

    def execute(self, entries, store):
        if any(entry["raw_data"]["id"] == self.at for entry in entries):
            (self.folder / "reached").touch()
            while not (self.folder / "go").exists():
                time.sleep(0.01)
        return entries

class Prints(BaseHook):
    def execute(self, entries, store):
        print("printed by a hook")

upper = Upper()
not_a_hook = 3
"""

CONFIG = """
code: shop
flows:
  people:
    description: Check people.
    model: shop.model:Person
    input: people.csv
    output: out/people.jsonl
    errors: out/errors.jsonl
"""


def write_plugin(folder: Path, config: str = CONFIG, *, rows: int = ROWS) -> Path:
    """Write a plugin; each tenth person is too old."""
    (folder / "shop").mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(config)
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "model.py").write_text(MODEL)
    (folder / "shop" / "hooks.py").write_text(HOOKS)
    write_people(folder / "people.csv", rows)
    return folder


def write_people(path: Path, rows: int, *, delimiter: str = ",") -> Path:
    lines = [f"{i},name {i},{200 if i % 10 == 9 else i % 90}".replace(",", delimiter) for i in range(rows)]
    path.write_text("\n".join([delimiter.join(["id", "name", "age"]), *lines]) + "\n")
    return path


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "synapse_cli", "flow", *arguments]


def synapse(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Running:
    """A command that runs, in a group of processes of its own, as a terminal's foreground has one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def interrupt(self) -> None:
        """Do what Ctrl-C does: signal the command and its children."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def said(self, text: str) -> str:
        """Wait until stderr has a line with `text`; return what was read up to there."""
        assert self.process.stderr is not None
        read = ""
        while text not in read:
            line = self.process.stderr.readline()
            assert line, f"ended without saying {text!r}; it said:\n{read}"
            read += line
        return read

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, stdout and the rest of stderr."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[Running]:
    process = subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Running(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def wait_until_gone(group: int) -> None:
    """Wait until no process of a group is left."""
    with suppress(ProcessLookupError):
        while True:
            os.killpg(group, 0)
            time.sleep(0.01)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a file is there, or the process has ended."""
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
