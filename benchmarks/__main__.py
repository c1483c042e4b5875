"""Run every comparison and print the table; ends non-zero if a bound is missed."""

from __future__ import annotations

import platform
import sys
import tempfile
from pathlib import Path

from benchmarks.calls import compare_calls
from benchmarks.comparison import markdown_table
from benchmarks.processes import compare_processes


def main() -> int:
    comparisons = []
    with tempfile.TemporaryDirectory() as folder:
        for comparison in (*compare_calls(Path(folder)), *compare_processes(Path(folder))):
            comparisons.append(comparison)
            print(f"{comparison.name}: {comparison.ratio:.2f}× {comparison.alternative}", file=sys.stderr)
    print(f"Python {platform.python_version()}, medians, ours and the alternative measured in turns.\n")
    print(markdown_table(comparisons))
    return 0 if all(comparison.holds for comparison in comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())
