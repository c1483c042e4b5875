"""Whether the cluster that an engine works on is still there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import ray

from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_ray.connection import Connection
from synapse_ray.shutdown_guard import no_shutdown

__all__ = ["Pulse"]

_AGAIN_SECONDS = 1.0
_QUIET_SECONDS = 5.0
_LOST_SECONDS = 15.0  # a head may be away for a moment


class Pulse:
    """Finds out whether the cluster answers, by knocking: a call of Ray's waits for a minute, and ends the process.

    Args:
        connection: To the cluster.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._heard = time.monotonic()
        self._knocked = 0.0
        self._is_doubtful = False
        self._is_answered = True

    @property
    def is_connected(self) -> bool:
        """Whether the connection lives; without one, each call of Ray's would make a new one."""
        return ray.is_initialized() and self._connection.is_current

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Keep the connection, for calls of Ray's that do not wait.

        Raises:
            BackendError: It has ended.
        """
        with no_shutdown():
            self._check_connection()
            yield

    def _check_connection(self) -> None:
        if not self.is_connected:
            raise BackendError(
                "the connection to Ray was ended while chunks were worked on; nothing more is known of them"
            )

    def hear(self) -> None:
        """Know that an actor has answered just now."""
        self._heard = time.monotonic()
        self._is_doubtful, self._is_answered = False, True

    def doubt(self) -> None:
        """Know that an actor has died, maybe with all of the cluster."""
        self._is_doubtful, self._knocked = True, 0.0

    def is_there(self) -> bool:
        """Say whether Ray may be called: not where the cluster is lost, or the connection has ended."""
        if not self.is_connected:
            return False
        now = time.monotonic()
        if self._is_doubtful or now - self._heard > _QUIET_SECONDS:
            again = _AGAIN_SECONDS if self._is_doubtful or not self._is_answered else _QUIET_SECONDS
            if now - self._knocked > again:
                self._is_answered = self._connection.is_answered()
                self._knocked = time.monotonic()
                if self._is_answered:
                    self._heard = self._knocked
                    self._is_doubtful = False
        return self._is_answered

    def check(self) -> None:
        """Raise where the cluster is lost.

        Raises:
            BackendUnreachableError: It has not answered for a while.
            BackendError: The connection was ended.
        """
        self._check_connection()
        if not self.is_there() and time.monotonic() - self._heard > _LOST_SECONDS:
            raise BackendUnreachableError(
                f"the Ray cluster at {self._connection.address} was lost while it worked on chunks: nobody has "
                f"answered there for {_LOST_SECONDS:g} s. What was given back before is not touched by that"
            )
