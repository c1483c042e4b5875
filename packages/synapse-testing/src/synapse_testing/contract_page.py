"""The pages of the contracts of executors and engines, made from the docstrings of their conformance suites.

``python -m synapse_testing.contract_page executor|engine [FILE]`` writes one to the file, or to stdout.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synapse_testing.conformance.engine import ProcessEngineConformance, RecordEngineConformance
from synapse_testing.conformance.executor import ExecutorConformance
from synapse_testing.values import VALUES

__all__ = ["PAGES", "promises", "render_engine_contract", "render_executor_contract"]

_EXECUTORS = """\
# The executor contract

<!-- Made by `python -m synapse_testing.contract_page executor`; edit the docstrings. -->

These are the {count} promises of every executor, one test each, in
`synapse_testing.ExecutorConformance`. [Write a backend](../how-to/write-a-backend.md) shows how to
run them. A promise that names capabilities applies where the executor claims them, or where it does
not, in `capabilities`. A promise that rests on another one is skipped once that one is broken, so that
one fault shows as one failure.
"""

_ENGINES = """\
# The engine contract

<!-- Made by `python -m synapse_testing.contract_page engine`; edit the docstrings. -->

These are the {count} promises of every record engine, one test each, in `synapse_testing.RecordEngineConformance`, and
{more} more of those whose workers are other processes, in `ProcessEngineConformance`. [Write a record
engine](../how-to/write-a-record-engine.md) shows how to run them. A promise that rests on another one is skipped once
that one is broken, so that one fault shows as one failure.

## Every engine
"""

_VALUES_HEAD = """\
## The table of values

`test_a_value_keeps_its_type` sends each of these from an action to its caller; where memory is not
shared, through tagged data:
"""


def promises(group: type) -> dict[str, Any]:
    """Return the tests of a group, or of a whole suite, by name in the order in which pytest runs them."""
    found: dict[str, Any] = {}
    for cls in reversed(group.__mro__):
        found.update(_own_promises(cls))
    return found


def render_executor_contract() -> str:
    """Return the page of the executors."""
    lines = [_EXECUTORS.format(count=len(promises(ExecutorConformance)))]
    for group in reversed(ExecutorConformance.__mro__):
        if own := _own_promises(group):
            lines.append(f"## {_title(group)}\n\n{_first_line(group)}\n")
            lines.extend(_row(name, test) for name, test in own.items())
            lines.append("")
    lines.append(f"{_VALUES_HEAD}\n{', '.join(VALUES)}.")
    return "\n".join(lines) + "\n"


def render_engine_contract() -> str:
    """Return the page of the record engines."""
    all_engines, processes = _own_promises(RecordEngineConformance), _own_promises(ProcessEngineConformance)
    lines = [_ENGINES.format(count=len(all_engines), more=len(processes))]
    lines.extend(_row(name, test) for name, test in all_engines.items())
    lines.append("\n## Engines whose workers are other processes\n")
    lines.extend(_row(name, test) for name, test in processes.items())
    return "\n".join(lines) + "\n"


PAGES = {"executor": render_executor_contract, "engine": render_engine_contract}
"""What is made, by what it is about."""


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
    """Write a page to the file that was named, or to stdout."""
    if not arguments or arguments[0] not in PAGES:
        sys.exit(f"usage: python -m synapse_testing.contract_page {'|'.join(PAGES)} [FILE]")
    page = PAGES[arguments[0]]()
    if arguments[1:]:
        Path(arguments[1]).write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)


if __name__ == "__main__":
    main(sys.argv[1:])
