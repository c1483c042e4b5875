"""The page of the executor contract, made from the docstrings of the conformance suite.

``python -m synapse_testing.contract_page [FILE]`` writes it to the file, or to stdout.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synapse_testing.conformance.executor import ExecutorConformance
from synapse_testing.conformance.group import PromiseGroup
from synapse_testing.values import VALUES

__all__ = ["promises", "render"]

_HEAD = """\
# The executor contract

<!-- Made by `python -m synapse_testing.contract_page docs/reference/executor-contract.md`; edit the docstrings. -->

These are the {count} promises of every executor, one test each, in
`synapse_testing.ExecutorConformance`. [Write a backend](../how-to/write-a-backend.md) shows how to
run them. A promise that names capabilities applies where the executor claims them, or where it does
not, in `capabilities`. A promise that rests on another one is skipped once that one is broken, so that
one fault shows as one failure.
"""

_VALUES_HEAD = """\
## The table of values

`test_a_value_keeps_its_type` sends each of these from an action to its caller; where memory is not
shared, through tagged data:
"""


def promises(group: type[PromiseGroup]) -> dict[str, Any]:
    """Return the tests of a group, or of a whole suite, by name in the order in which pytest runs them."""
    found: dict[str, Any] = {}
    for cls in reversed(group.__mro__):
        found.update(_own_promises(cls))
    return found


def render() -> str:
    """Return the page."""
    lines = [_HEAD.format(count=len(promises(ExecutorConformance)))]
    for group in reversed(ExecutorConformance.__mro__):
        if own := _own_promises(group):
            lines.append(f"## {_title(group)}\n\n{_first_line(group)}\n")
            lines.extend(_row(name, test) for name, test in own.items())
            lines.append("")
    lines.append(f"{_VALUES_HEAD}\n{', '.join(VALUES)}.")
    return "\n".join(lines) + "\n"


def _own_promises(cls: type) -> dict[str, Any]:
    return {name: test for name, test in vars(cls).items() if name.startswith("test_")}


def _title(group: type) -> str:
    return group.__module__.rpartition(".")[2].capitalize()


def _first_line(documented: Any) -> str:
    # Roles of docstrings are code on a page.
    return re.sub(r"`+([^`]+)`+", r"`\1`", (inspect.getdoc(documented) or "").partition("\n")[0])


def _row(name: str, test: Any) -> str:
    return "\n".join([f"- {_first_line(test)}", f"  `{name}`{''.join(_conditions(test))}"])


def _conditions(test: Any) -> Iterator[str]:
    if claims := getattr(test, "where_claimed", ()):
        yield f" · claims {', '.join(f'`{claim}`' for claim in claims)}"
    if claims := getattr(test, "where_not_claimed", ()):
        yield f" · does not claim {', '.join(f'`{claim}`' for claim in claims)}"
    if names := getattr(test, "rests_on", ()):
        yield f" · rests on {', '.join(f'`{name}`' for name in names)}"


def main(arguments: list[str]) -> None:
    """Write the page to the file that was named, or to stdout."""
    if arguments:
        Path(arguments[0]).write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())


if __name__ == "__main__":
    main(sys.argv[1:])
