"""What a hook is."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from enum import IntEnum
from typing import Any, ClassVar

from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.store_lock import StoreLock

__all__ = ["BaseHook", "HookPriority", "HookStore"]


class HookPriority(IntEnum):
    """When a hook runs among others: the lowest first, equal ones as they were given."""

    VERY_HIGH = 0
    HIGH = 25
    NORMAL = 50
    LOW = 75
    VERY_LOW = 100


class HookStore(MutableMapping[str, Any]):
    """What the hooks of one worker share: a mapping whose keys are attributes too.

    There is one for each worker, and it is kept from its first chunk to its last. A hook that is no
    coroutine holds the store's lock while it runs, and loses it when its `timeout` is over; coroutines
    take turns at each ``await``, and hold it with ``with store.lock():`` where they need it for longer.
    """

    __slots__ = ("_lock", "_values")

    def __init__(self) -> None:
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_lock", StoreLock())

    def lock(self) -> StoreLock:
        """Return what holds the store while a ``with`` block runs."""
        lock: StoreLock = self._lock
        return lock

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            known = ", ".join(sorted(self._values)) or "nothing"
            raise AttributeError(f"the hook store has no {name!r}; it has: {known}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._values[name]
        except KeyError:
            raise AttributeError(f"the hook store has no {name!r}") from None

    def __repr__(self) -> str:
        return f"HookStore({', '.join(sorted(self._values))})"


class BaseHook:
    """Sees entries before the validation, or after it; each method may be a coroutine.

    What a hook is made with is compared where a run goes on from a checkpoint: plain data in its attributes, as they
    are before the run. What differs each time, such as a time or a random id, is made in `setup`.

    Example::

        class Domain(BaseHook):
            def execute(self, entries, store):
                for entry in entries:
                    entry["raw_data"]["domain"] = entry["raw_data"]["email"].partition("@")[2]
                return entries

    Attributes:
        idempotent: Whether `execute` may be called again with the same entries, one by one, when it raised;
            so only the entries that made it raise fail. Without it all entries of that call do.
        timeout: Seconds that one call of `execute` may take, once it has the store; None waits for ever. A
            coroutine is cancelled then; another function goes on in its thread, and nobody looks at it any more.

    Args:
        priority: When it runs among the others, the lowest first.
    """

    idempotent: ClassVar[bool] = True
    timeout: float | None = None

    def __init__(self, priority: int = HookPriority.NORMAL) -> None:
        self.priority = priority

    def setup(self, store: HookStore) -> Any:
        """Make what the hook needs; called once on each worker."""

    def execute(self, entries: list[EntryTypedDict], store: HookStore) -> Any:
        """Look at entries, change, add or leave out some, and return those that go on; None keeps all.

        A new entry is a dict with ``raw_data``; after the validation ``validated_data`` does too.
        """
        return entries

    def teardown(self, store: HookStore) -> Any:
        """Free what `setup` made; called once on each worker, after its last chunk."""
