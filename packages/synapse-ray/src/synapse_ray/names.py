"""Names in a cluster that all parts of this package have to agree on."""

from __future__ import annotations

import re

__all__ = ["NAMESPACE", "check_job_id"]

NAMESPACE = "synapse"
"""The namespace of every named actor of this package."""

_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+=-]*")
_LONGEST_ID = 128


def check_job_id(job_id: str) -> str:
    """Return `job_id` where it can be one.

    Raises:
        TypeError: It is no text.
        ValueError: It is empty or too long, or has other characters than letters, digits and ``. _ : @ + = -``.
    """
    if not isinstance(job_id, str):
        raise TypeError(f"a job id is a text, not a {type(job_id).__name__}")
    if len(job_id) > _LONGEST_ID:
        raise ValueError(f"job id {job_id[:40]!r}… has {len(job_id)} characters; at most {_LONGEST_ID} are allowed")
    if not _JOB_ID.fullmatch(job_id):
        raise ValueError(
            f"job id {job_id!r}: a job id begins with a letter or a digit, and has letters, digits and '._:@+=-' only"
        )
    return job_id
