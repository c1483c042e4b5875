"""Code in a process of its own, which says things to the test."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ClientScript"]

_PATIENCE = 180
_MARK = "said to the test: "
_PREAMBLE = f"""
import faulthandler, json, sys

faulthandler.dump_traceback_later({_PATIENCE}, exit=True)  # of every thread: where it hangs


def say(**things):
    sys.stdout.write({_MARK!r} + json.dumps(things) + "\\n")
    sys.stdout.flush()


"""


class ClientScript:
    """A process that runs code in which ``say(name=value, …)`` tells the test something.

    It ends with its ``with`` block at the latest; when it takes too long it says where it hangs.
    """

    def __init__(self, code: str, args: Sequence[str | Path], env: Mapping[str, str], folder: Path) -> None:
        self._errors = folder / "stderr"
        script = folder / "script.py"
        script.write_text(_PREAMBLE + textwrap.dedent(code))
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(script), *map(str, args)],
                env=dict(env), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip

    def __enter__(self) -> ClientScript:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it, if it has not ended."""
        self._process.kill()
        self._process.communicate()

    def hear(self) -> dict[str, Any]:
        """Return the next thing that it says.

        Raises:
            AssertionError: It has ended, with what it wrote.
        """
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            if line.startswith(_MARK):
                heard: dict[str, Any] = json.loads(line.removeprefix(_MARK))
                return heard
            lines.append(line)
        code = self._process.wait()
        raise AssertionError(f"the script ended with {code}:\n{''.join(lines)}{self._errors.read_text()}")
