"""`synapse executors`: what can run actions here."""

from __future__ import annotations

from typing import Any

import click

from synapse_cli.kit import json_option, print_json, print_table, talk
from synapse_core.plugins.descriptions import ExecutorDescription
from synapse_core.plugins.registry import KNOWN_EXECUTORS, registry
from synapse_core.plugins.rows import Row

__all__ = ["executors"]


@click.command()
@json_option
def executors(as_json: bool) -> None:
    """List what can run actions here: name, package, version, capabilities, and why one does not load."""
    rows = [row for row in registry.rows(fresh=True) if _concerns_executors(row)]
    documents = [_describe(row) for row in rows]
    if as_json:
        print_json(documents)
        return
    table = [
        (
            document["name"],
            document["package"],
            document["version"],
            " ".join(document["capabilities"]) or "-",
            document["error"] or document["help"],
        )
        for document in documents
    ]
    print_table(["NAME", "PACKAGE", "VERSION", "CAPABILITIES", "ABOUT"], table)
    there = {document["name"] for document in documents}
    missing = [(name, known.install) for name, known in KNOWN_EXECUTORS.items() if name not in there]
    for name, install in missing:
        talk(f"not installed: {name} ({install})")


def _concerns_executors(row: Row) -> bool:
    return isinstance(row.description, ExecutorDescription) or (
        bool(row.error) and row.hook in ("", "synapse_executors")
    )


def _describe(row: Row) -> dict[str, Any]:
    description = row.description
    error = row.error
    if isinstance(description, ExecutorDescription) and not error:
        error = _load_error(description)
    return {
        "name": row.name,
        "aliases": list(description.aliases) if description else [],
        "package": row.distribution,
        "version": row.version,
        "capabilities": list(description.capabilities.names()) if isinstance(description, ExecutorDescription) else [],
        "options": list(description.options) if isinstance(description, ExecutorDescription) else [],
        "help": description.help if description else "",
        "error": f"error: {error}" if error else None,
    }


def _load_error(description: ExecutorDescription) -> str:
    from synapse_core.errors import BackendError

    try:
        registry.find_executor(description.name)
        registry.load(description)
    except BackendError as error:
        return str(error)
    return ""
