"""Failed records, run again with the flow that they failed in."""

from __future__ import annotations

import os
from dataclasses import replace

from synapse_core.errors import ValidationError
from synapse_flow.flow import Flow, FlowChanges
from synapse_flow.inputs.retry import RetryInputAdapter
from synapse_flow.places import file_of

__all__ = ["as_retry", "retried_places", "retry_changes"]

_MARK = ".retried"
_COMPRESSED = (".gz", ".zst")


def retried_places(flow_output: str | None, errors: str) -> tuple[str | None, str]:
    """Return where the good records of a retry go, and those that fail again.

    ``people.jsonl`` and ``errors.jsonl`` become ``people.retried.jsonl`` and ``errors.retried.jsonl``. A retry of a
    retry has the mark twice, so it takes no earlier one's place.

    Args:
        flow_output: Where the flow writes.
        errors: The file of errors that is run again.
    """
    stem, suffix = _split(errors)
    rounds = 1
    while stem.endswith(_MARK * rounds):
        rounds += 1
    output = None
    if flow_output is not None:
        first, last = _split(flow_output)
        output = f"{first}{_MARK * rounds}{last}"
    return output, f"{stem}{_MARK}{suffix}"


def retry_changes(flow: Flow, errors: str, changes: FlowChanges) -> FlowChanges:
    """Return `changes` with the places of a retry, where none were given.

    Args:
        flow: As it is described.
        errors: The file of errors that is run again.
        changes: What was asked for.

    Raises:
        ValidationError: The flow's output is no file, so somebody has to say where records go.
    """
    adapter = flow.pipe.output_adapter
    place = None if adapter is None else file_of(adapter)
    if adapter is not None and place is None and changes.output is None:
        raise ValidationError(
            f"the flow {flow.name!r} writes to no file ({type(adapter).__name__}); say with --output where the records "
            "go that are good now"
        )
    output, again = retried_places(place, errors)
    return replace(changes, input=None, output=changes.output or output, errors=changes.errors or again)


def as_retry(flow: Flow, errors: str, limit: int | None = None) -> Flow:
    """Return a flow that reads a file of errors instead of its input, at most `limit` of them."""
    source = RetryInputAdapter(errors)
    source.pre_hooks, source.post_hooks = flow.pipe.input_adapter.pre_hooks, flow.pipe.input_adapter.post_hooks
    flow.pipe.input_adapter = source
    flow.pipe.limit = limit  # that of the flow is of its own input
    return replace(flow, source=errors)


def _split(place: str) -> tuple[str, str]:
    """Return a path or URL up to its suffix, and the suffix with that of a compression."""
    head, slash, name = place.rpartition("/")
    stem, suffix = os.path.splitext(name)
    if suffix in _COMPRESSED:
        stem, inner = os.path.splitext(stem)
        suffix = inner + suffix
    return f"{head}{slash}{stem}", suffix
