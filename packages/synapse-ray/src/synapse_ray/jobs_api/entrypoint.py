"""The shell line that Ray runs for a job, and what both sides derive from a job's nonce."""

from __future__ import annotations

import hashlib
import re
import shlex

__all__ = ["entrypoint", "nonce_of", "secret_name", "side_folder"]

_MODULE = "synapse_ray.jobs_api.driver"

# The cluster's own interpreter, not whatever `python` is first on a PATH that users can set. The shell's parent is
# Ray's supervisor, whose parent is the node's raylet; that was started with the command of its workers, which begins
# with the interpreter. Where a pip or uv environment was made for the job, its own interpreter comes first.
_FIND_PYTHON = (
    'case "$VIRTUAL_ENV" in */runtime_resources/*) p=$VIRTUAL_ENV/bin/python;; '
    "*) r=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$PPID/status 2>/dev/null); "
    "p=$(tr '\\0' '\\n' </proc/$r/cmdline 2>/dev/null | "
    "sed -n 's/^--python_worker_command=\\([^ ]*\\) .*/\\1/p');; esac; "
    '[ -x "$p" ] || p=python3'
)
_NONCE = re.compile(r"[0-9a-f]{32}")


def entrypoint(nonce: str) -> str:
    """Return the shell line that runs the driver."""
    return f'{_FIND_PYTHON}; exec "$p" -m {_MODULE} {shlex.quote(nonce)}'


def nonce_of(metadata: object) -> str | None:
    """Return the nonce that a job was submitted with; ``None`` for a job that is not ours."""
    found = metadata.get("synapse_nonce") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) and _NONCE.fullmatch(found) else None


def secret_name(nonce: str) -> str:
    """Return the name of the package in which the driver finds its work."""
    return f"synapse_secret_{_derived(nonce, 'secret')}.zip"


def side_folder(nonce: str) -> str:
    """Return the folder of the driver's files, relative to the log folder of its node."""
    return f"synapse/{_derived(nonce, 'files')}"


def _derived(nonce: str, what: str) -> str:
    return hashlib.sha256(f"{what}:{nonce}".encode()).hexdigest()[:32]
