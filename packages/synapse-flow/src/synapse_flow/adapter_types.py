"""Kinds of inputs and outputs by name and by suffix, with the classes that read and write them."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from synapse_core.errors import ValidationError, nearest

__all__ = ["ADAPTER_TYPES", "SUFFIXES", "AdapterType", "adapter_type", "file_suffix", "place_name", "type_by_place"]

_PACKAGE = __name__.rpartition(".")[0]
_COMPRESSED = (".gz", ".zst")
_DATABASE = re.compile(
    r"^(?:sqlite|postgres(?:ql)?|mysql|mariadb|oracle|mssql|duckdb|snowflake|bigquery|redshift)(?:\+\w+)?:"
)


@dataclass(frozen=True, slots=True)
class AdapterType:
    """A kind of input and output.

    Attributes:
        name: What people write as ``type``.
        input: ``module:class`` of the input, below this package.
        output: The same of the output.
        suffixes: Of file names that mean it; a further ``.gz`` or ``.zst`` changes nothing.
        arguments: What its classes are given unless something else is.
        word: What people write its place as, where that is not ``source`` and ``target``.
    """

    name: str
    input: str
    output: str
    suffixes: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    word: str = ""

    def place_word(self, role: str) -> str:
        """Return what people write its place as."""
        return self.word or ("source" if role == "input" else "target")

    def load(self, role: str) -> Any:
        """Import the class for ``"input"`` or ``"output"``."""
        module, _, name = (self.input if role == "input" else self.output).partition(":")
        return getattr(importlib.import_module(f"{_PACKAGE}.{module}"), name)


ADAPTER_TYPES = {
    kind.name: kind
    for kind in (
        AdapterType("csv", "inputs.csv:CSVInputAdapter", "outputs.csv:CSVOutputAdapter", (".csv",)),
        AdapterType(
            "tsv",
            "inputs.csv:CSVInputAdapter",
            "outputs.csv:CSVOutputAdapter",
            (".tsv", ".tab"),
            {"delimiter": "\t"},
        ),
        AdapterType(
            "json", "inputs.json:JSONInputAdapter", "outputs.json:JSONOutputAdapter", (".json",), {"format": "array"}
        ),
        AdapterType(
            "jsonl",
            "inputs.json:JSONInputAdapter",
            "outputs.json:JSONOutputAdapter",
            (".jsonl", ".ndjson"),
            {"format": "jsonl"},
        ),
        AdapterType(
            "parquet", "inputs.arrow:ParquetInputAdapter", "outputs.arrow:ParquetOutputAdapter", (".parquet", ".pq")
        ),
        AdapterType(
            "arrow",
            "inputs.arrow:ArrowInputAdapter",
            "outputs.arrow:ArrowOutputAdapter",
            (".arrow", ".feather", ".ipc"),
        ),
        AdapterType("xlsx", "inputs.excel:ExcelInputAdapter", "outputs.excel:ExcelOutputAdapter", (".xlsx",)),
        AdapterType("sql", "inputs.sql:SQLAlchemyInputAdapter", "outputs.sql:SQLAlchemyOutputAdapter", word="url"),
        AdapterType(
            "duckdb",
            "inputs.duckdb:DuckDBInputAdapter",
            "outputs.duckdb:DuckDBOutputAdapter",
            (".duckdb", ".ddb"),
            word="database",
        ),
    )
}
"""Kinds by name."""

_ALIASES = {"ndjson": "jsonl", "jsonlines": "jsonl", "excel": "xlsx", "feather": "arrow", "ipc": "arrow"}
_BY_SUFFIX = {suffix: kind for kind in ADAPTER_TYPES.values() for suffix in kind.suffixes}

SUFFIXES = tuple(_BY_SUFFIX)
"""All suffixes that say what a file is."""


def adapter_type(name: str) -> AdapterType:
    """Return a kind by its name.

    Raises:
        ValidationError: There is none; lists the known.
    """
    wanted = name.strip().lower()
    found = ADAPTER_TYPES.get(_ALIASES.get(wanted, wanted))
    if found is None:
        raise ValidationError(
            f"unknown type {name!r}.{nearest(wanted, ADAPTER_TYPES)} Types: {', '.join(ADAPTER_TYPES)}"
        )
    return found


def type_by_place(place: str) -> AdapterType | None:
    """Return the kind that a place means by its suffix, or by being a database's URL; None where it says nothing."""
    if _DATABASE.match(place):
        return ADAPTER_TYPES["sql"]
    return _BY_SUFFIX.get(file_suffix(place))


def file_suffix(place: str) -> str:
    """Return a place's suffix, in small letters and without that of a compression; empty where it has none."""
    path = PurePosixPath(place.replace("\\", "/").partition("?")[0] if "://" in place else place.replace("\\", "/"))
    suffix = path.suffix.lower()
    if suffix in _COMPRESSED:
        suffix = path.with_suffix("").suffix.lower()
    return suffix


def place_name(cls: Any) -> str:
    """Return the argument of an adapter's class that a place stands for: its first."""
    return next(iter(inspect.signature(cls).parameters))
