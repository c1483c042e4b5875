"""What is said where somebody follows a job that does not start."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

from synapse_core.model.status import JobStatus

__all__ = ["PATIENCE_SECONDS", "told_while_pending"]

PATIENCE_SECONDS = 10.0


@contextlib.contextmanager
def told_while_pending(job_id: str, get_status: Callable[[str], str], more: str = "") -> Iterator[None]:
    """Say once on stderr that a job has not started, when that takes as long as `PATIENCE_SECONDS`.

    Args:
        job_id: The job that is followed within the block.
        get_status: Returns its status; called in another thread.
        more: What else there is to say.
    """

    def say() -> None:
        with contextlib.suppress(Exception):  # whoever follows the job says better what is wrong
            if get_status(job_id) == JobStatus.PENDING:
                sys.stderr.write(
                    f"still waiting: job {job_id!r} has not started. Its environment is being made, or what it asks "
                    f"for is not free; `ray status` shows it{more}\n"
                )

    timer = threading.Timer(PATIENCE_SECONDS, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
