"""The lock of a hook store, which outlasts a hook that hangs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, get_ident
from time import monotonic

__all__ = ["StoreLock"]


class StoreLock:
    """A lock that its thread may take several times, and that may be taken for a limited time.

    When that time is over, the next thread takes it over; what its old holder then leaves is nothing.

    Example::

        with lock.for_at_most(5.0):
            hook.execute(entries, store)
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._holder: int | None = None
        self._depth = 0
        self._until: float | None = None

    def __enter__(self) -> None:
        self._take(None)

    def __exit__(self, *_: object) -> None:
        with self._changed:
            if self._holder != get_ident():
                return  # somebody else has taken it over
            self._depth -= 1
            if not self._depth:
                self._holder = None
                self._changed.notify()

    @contextmanager
    def for_at_most(self, seconds: float) -> Iterator[None]:
        """Hold the lock while a ``with`` block runs, but no longer than `seconds`, which begin when it is taken."""
        self._take(seconds)
        try:
            yield
        finally:
            self.__exit__()

    def _take(self, seconds: float | None) -> None:
        with self._changed:
            if self._holder == get_ident():
                self._depth += 1
                return
            while self._holder is not None and (left := self._time_left()) != 0:
                self._changed.wait(left)
            self._holder = get_ident()
            self._depth = 1
            self._until = None if seconds is None else monotonic() + seconds

    def _time_left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - monotonic())
