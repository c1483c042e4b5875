"""How long a dashboard may be away before that is an error, and how often it is looked at; no I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from synapse_core.errors import AuthenticationError, BackendError, BackendUnreachableError

__all__ = ["Failures", "Pace", "patiently"]

T = TypeVar("T")

_MOST_SECONDS = 30.0
_MOST_FAILURES = 40  # in a row, which take about as long where each comes at once
_MOST_REFUSALS = 5
_FAST_SECONDS = 5.0
_PART_OF_QUIET = 0.05


@dataclass(slots=True)
class Failures:
    """Counts what goes wrong in a row, and says how long to wait."""

    count: int = 0
    _since: float = 0.0

    def pause(self, error: BackendError) -> float:
        """Return the seconds to wait before asking again; raises `error` where that is no help."""
        now = time.monotonic()
        if self.count == 0:
            self._since = now
        self.count += 1
        most = _MOST_FAILURES if isinstance(error, BackendUnreachableError) else _MOST_REFUSALS
        if self.count > most or now - self._since > _MOST_SECONDS or isinstance(error, AuthenticationError):
            raise error
        return min(1.0, 0.02 * 1.5**self.count)


@dataclass(slots=True)
class Pace:
    """How often to look for news: fast for some seconds after some, then more and more seldom."""

    quiet: float = 0.0

    def news(self) -> None:
        """Note that there was something."""
        self.quiet = 0.0

    def pause(self, shortest: float, longest: float) -> float:
        """Return the seconds until the next look, which are counted as quiet ones."""
        found = min(longest, max(shortest, (self.quiet - _FAST_SECONDS) * _PART_OF_QUIET))
        self.quiet += found
        return found


def patiently(ask: Callable[[], T], wait: Callable[[float], object]) -> T:
    """Return what `ask` returns, called again where the dashboard is away for a while.

    Args:
        ask: Asks once.
        wait: Called with the seconds to wait before the next time; may raise where there is no more time.

    Raises:
        BackendError: What `ask` raised, too often.
    """
    failures = Failures()
    while True:
        try:
            return ask()
        except BackendError as error:
            wait(failures.pause(error))
