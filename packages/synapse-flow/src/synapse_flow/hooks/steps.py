"""Which hook is called with which entries: decided here, without calling any."""

from __future__ import annotations

import operator
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from synapse_core.errors import ValidationError
from synapse_core.safe_text import shorten
from synapse_flow.entries import EntryStatus, EntryTypedDict
from synapse_flow.hooks.base import BaseHook
from synapse_flow.hooks.failures import HookAnswerError, told

__all__ = ["Call", "Passed", "copied", "fail", "hook_name", "in_order", "pass_through"]


DictT = TypeVar("DictT", bound=Any)
_SHOWN = 8  # keys in a message


def in_order(hooks: Iterable[BaseHook]) -> list[BaseHook]:
    """Return hooks by priority, the lowest first; equal ones stay as they are.

    Raises:
        ValidationError: Some are no hooks; the message names them all.
    """
    hooks = list(hooks)
    if wrong := [shorten(hook) + why for hook in hooks if (why := _why_none(hook))]:
        raise ValidationError(
            f"{'; '.join(wrong)}. A hook is an object with execute(entries, store), setup(store) and "
            "teardown(store): derive a class from BaseHook, which has them, and give an instance of it"
        )
    return sorted(hooks, key=lambda hook: getattr(hook, "priority", 50))


def _why_none(hook: Any) -> str | None:
    if isinstance(hook, type):
        is_hook = callable(getattr(hook, "execute", None))
        return f" is a class; give an instance, such as {hook.__name__}()" if is_hook else " is a class, and no hook"
    missing = [name for name in ("execute", "setup", "teardown") if not callable(getattr(hook, name, None))]
    if "execute" in missing:
        return f" is a {type(hook).__name__}, and no hook"
    return f" has no {' and no '.join(missing)}" if missing else None


def hook_name(hook: Any) -> str:
    """Return what messages call a hook."""
    return type(hook).__name__


@dataclass(slots=True)
class Call:
    """A request to call a hook; it is answered with what the hook returned, or thrown what it raised."""

    hook: BaseHook
    entries: list[EntryTypedDict]


@dataclass(slots=True)
class Passed:
    """What became of entries.

    Attributes:
        entries: Those that go on.
        failed: Those that failed.
        added: How many hooks made.
        filtered: How many hooks left out.
    """

    entries: list[EntryTypedDict]
    failed: list[EntryTypedDict] = field(default_factory=list)
    added: int = 0
    filtered: int = 0


def fail(entry: EntryTypedDict, type_: str, message: str) -> EntryTypedDict:
    """Mark an entry as failed, and say why."""
    entry["status"] = EntryStatus.FAILED
    entry.setdefault("errors", []).append({"type": type_, "message": message})
    return entry


def pass_through(
    entries: list[EntryTypedDict], hooks: Sequence[BaseHook], most: int | None
) -> Generator[Call, Any, Passed]:
    """Pass entries through hooks, at most `most` in a call; yields each call, and returns what became of them."""
    passed = Passed(entries)
    for hook in hooks:
        size = most or max(1, len(passed.entries))
        kept: list[EntryTypedDict] = []
        for start in range(0, len(passed.entries), size):
            kept += yield from _one_call(hook, passed.entries[start : start + size], passed)
        passed.entries = kept
    return passed


def _one_call(
    hook: BaseHook, entries: list[EntryTypedDict], passed: Passed
) -> Generator[Call, Any, list[EntryTypedDict]]:
    again = getattr(hook, "idempotent", True) and len(entries) > 1
    copies = [_copied_entry(entry) for entry in entries] if again else []
    try:
        answer = yield Call(hook, list(entries))
        return _kept(hook, entries, answer, passed)
    except Exception as error:
        if not again:
            passed.failed += [_failed(hook, entry, error) for entry in entries]
            return []
    kept: list[EntryTypedDict] = []
    for entry in copies:
        try:
            answer = yield Call(hook, [entry])
            kept += _kept(hook, [entry], answer, passed)
        except Exception as error:
            passed.failed.append(_failed(hook, entry, error))
    return kept


def _kept(hook: BaseHook, given: list[EntryTypedDict], answer: Any, passed: Passed) -> list[EntryTypedDict]:
    """Return the entries that go on, and count the others."""
    if answer is None:
        returned = given
    elif isinstance(answer, (list, tuple)):
        returned = list(answer)
    else:
        raise HookAnswerError(
            f"execute returned a {type(answer).__name__}; return a list of entries, or None to keep all"
        )
    if len(returned) != len(given) or not all(map(operator.is_, returned, given)):
        _count(hook, given, returned, passed)
    if any(entry.get("status") == EntryStatus.FAILED for entry in returned):
        passed.failed += [entry for entry in returned if entry.get("status") == EntryStatus.FAILED]
        return [entry for entry in returned if entry.get("status") != EntryStatus.FAILED]
    return returned


def _count(hook: BaseHook, given: list[EntryTypedDict], returned: list[EntryTypedDict], passed: Passed) -> None:
    """Tell entries that were left out, and new ones; an entry that was replaced by a copy is neither."""
    objects = {id(entry): entry for entry in given}
    for entry in returned:
        if not isinstance(entry, dict):
            raise HookAnswerError(f"execute returned a list with a {type(entry).__name__} in it; entries are dicts")
        if id(entry) not in objects:
            _check_made(entry, given[0])
    if len({id(entry) for entry in returned}) != len(returned):
        raise HookAnswerError("execute returned the same entry twice; to write it twice, return a copy of it")
    kept = [objects.pop(id(entry), None) for entry in returned]
    by_id = {entry.get("id"): entry for entry in objects.values()}
    position, matched = given[0].get("position"), 0
    for entry, same in zip(returned, kept, strict=True):
        old = same or by_id.pop(entry.get("id"), None)
        if old is None:
            entry["made_by"] = hook_name(hook)
            entry.setdefault("position", position)
        else:
            matched += 1
            entry.setdefault("position", old.get("position"))
        if same is None:
            _complete(entry)
        position = entry["position"]
    passed.added += len(returned) - matched
    passed.filtered += len(given) - matched


def _check_made(entry: EntryTypedDict, given: EntryTypedDict) -> None:
    """See that a dict of a hook's own is an entry, and not what should stand in one."""
    if "raw_data" in entry:
        return
    is_valid = isinstance(given.get("validated_data"), dict)
    if is_valid and "validated_data" in entry:
        return
    needs = "an entry needs 'raw_data' or 'validated_data'" if is_valid else "an entry needs 'raw_data'"
    keys = ", ".join(map(repr, list(entry)[:_SHOWN])) + (", ..." if len(entry) > _SHOWN else "")
    raise HookAnswerError(
        f"execute returned a dict with {f'the keys {keys}' if entry else 'no keys'}, and {needs} with the record in "
        "it. Change the entries that were given and return those, or return {'raw_data': {...}} for a new record"
    )


def _complete(entry: EntryTypedDict) -> None:
    """Give an entry that a hook made the keys that the next one may count on."""
    entry.setdefault("id", uuid4())
    entry.setdefault("status", EntryStatus.PENDING)
    entry.setdefault("raw_data", {})
    entry.setdefault("validated_data", None)
    entry.setdefault("errors", [])
    entry.setdefault("metadata", {})


def _failed(hook: BaseHook, entry: EntryTypedDict, error: Exception) -> EntryTypedDict:
    return fail(entry, "HookError", f"{hook_name(hook)}: {told(error, hook)}")


# -- copies ----------------------------------------------------------------------------------


def copied(value: DictT) -> DictT:
    """Return a copy of a dict that shares no container with it."""
    copy: DictT = value.copy()
    if not _CONTAINERS.isdisjoint(map(type, value.values())):
        for key, item in value.items():
            make = _COPIES.get(type(item))
            if make is not None:
                copy[key] = make(item)
    return copy


def _copied_entry(entry: EntryTypedDict) -> EntryTypedDict:
    if len(entry) > _KEYS:  # with keys of the user's own
        return copied(entry)
    copy = entry.copy()
    if (raw := entry.get("raw_data")) is not None:
        copy["raw_data"] = copied(raw)
    if (validated := entry.get("validated_data")) is not None:
        copy["validated_data"] = copied(validated)
    if "errors" in entry:
        copy["errors"] = list(entry["errors"])
    if "metadata" in entry:
        copy["metadata"] = copied(entry["metadata"]) if entry["metadata"] else {}
    return copy


def _copy_list(value: list[Any]) -> list[Any]:
    return [item if (make := _COPIES.get(type(item))) is None else make(item) for item in value]


_COPIES: dict[type, Callable[[Any], Any]] = {
    dict: copied,
    list: _copy_list,
    set: set.copy,
    bytearray: bytearray.copy,
}
_CONTAINERS = frozenset(_COPIES)
_KEYS = len(EntryTypedDict.__annotations__)
