"""Run comparisons and print the table; ends non-zero if a bound is missed.

``python -m benchmarks`` runs all, ``python -m benchmarks ray`` those of the Ray modes, ``… flows``
those of record flows, ``… local`` the others.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.calls import compare_calls
from benchmarks.comparison import Comparison, markdown_table
from benchmarks.flows import compare_flows
from benchmarks.processes import compare_processes
from benchmarks.ray_modes import compare_ray_modes


def main() -> int:
    wanted = sys.argv[1:] or ["local", "ray", "flows"]
    unknown = set(wanted) - {"local", "ray", "flows"}
    if unknown:
        sys.exit(f"no benchmarks {', '.join(sorted(unknown))}; there are: local, ray, flows")
    comparisons = []
    with tempfile.TemporaryDirectory() as folder:
        for comparison in _comparisons(wanted, Path(folder)):
            comparisons.append(comparison)
            print(comparison, file=sys.stderr)
    print(f"Python {platform.python_version()}, medians, ours and the alternative measured in turns.\n")
    print(markdown_table(comparisons))
    return 0 if all(comparison.holds for comparison in comparisons) else 1


def _comparisons(wanted: list[str], folder: Path) -> Iterator[Comparison]:
    if "local" in wanted:
        yield from compare_calls(folder)
        yield from compare_processes(folder)
    if "ray" in wanted:
        yield from compare_ray_modes()
    if "flows" in wanted:
        yield from compare_flows(folder)


if __name__ == "__main__":
    sys.exit(main())
