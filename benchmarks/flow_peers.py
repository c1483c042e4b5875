"""Ways of others through the same rows, run with an interpreter of their own. Prints a line of JSON.

``python flow_peers.py WAY TABLE FOLDER``
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, Field


class Person(BaseModel):
    """A row of the table."""

    id: int
    name: str = Field(min_length=1)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    age: int = Field(ge=0, le=130)
    city: str
    balance: Decimal
    born: date
    active: bool


def zoopipe(table: Path, folder: Path, workers: int, batch: int) -> int:
    import zoopipe as zoo

    logger = logging.getLogger("quiet")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    pipe = zoo.Pipe(
        input_adapter=zoo.CSVInputAdapter(str(table)),
        output_adapter=zoo.JSONOutputAdapter(str(folder / "good.jsonl"), format="jsonl"),
        error_output_adapter=zoo.JSONOutputAdapter(str(folder / "bad.jsonl"), format="jsonl"),
        schema_model=Person,
        logger=logger,
        executor=zoo.SingleThreadExecutor(batch),
    )
    if workers == 1:
        pipe.run(wait=True, on_report_update=None)
        return int(pipe.report.total_processed)
    manager = zoo.PipeManager.parallelize_pipe(pipe, workers=workers)
    manager.run(wait=True, on_report_update=None)
    return int(manager.report.total_processed)


def polars(table: Path, folder: Path) -> int:
    """No Python for any row, and the same rules as expressions."""
    import polars as pl

    text = pl.read_csv(table, infer_schema=False, truncate_ragged_lines=True)
    typed = text.select(
        pl.col("id").cast(pl.Int64, strict=False),
        "name",
        "email",
        pl.col("age").cast(pl.Int64, strict=False),
        "city",
        pl.col("balance").cast(pl.Decimal(18, 2), strict=False),
        pl.col("born").str.to_date("%Y-%m-%d", strict=False),
        pl.col("active").is_in(["true", "yes", "1", "on"]),
    )
    good = (
        pl.all_horizontal(pl.col("id", "age", "balance", "born").is_not_null())
        & (pl.col("name").str.len_chars() > 0)
        & pl.col("email").str.contains(r"^[^@\s]+@[^@\s]+$")
        & pl.col("age").is_between(0, 130)
    )
    typed.filter(good).write_ndjson(folder / "good.jsonl")
    typed.filter(~good).write_ndjson(folder / "bad.jsonl")
    return text.height


if __name__ == "__main__":
    way, table, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    name, _, options = way.partition(" ")
    started = time.perf_counter()
    if name == "polars":
        rows = polars(table, folder)
    else:
        workers, batch = map(int, options.split())
        rows = zoopipe(table, folder, workers, batch)
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))
