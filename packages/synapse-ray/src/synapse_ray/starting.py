"""Starting a cluster on this machine that stays when the process that started it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile

from synapse_core.errors import BackendError
from synapse_core.redaction import looks_secret, looks_secret_value
from synapse_ray.ray_texts import last_lines
from synapse_ray.settings import CREDENTIALS

__all__ = ["start_head"]

_PATIENCE_SECONDS = 180.0
_ADDRESS = re.compile(r"--address='([^']+)'")


def start_head() -> str:
    """Start a head node of this machine's own, say so on stderr, and return its address.

    Ray's own command line does it, so the cluster is one like any other: jobs on it go on, and ``ray stop`` ends it.

    What runs on it later, for whomever, inherits its environment: so it gets no secrets of this one.

    Raises:
        BackendError: It did not start; with the end of what Ray wrote.
    """
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--port=0", "--disable-usage-stats"]
    # Into a file: the processes of the cluster inherit where this goes, and would keep a pipe open for ever.
    with tempfile.TemporaryFile() as output:
        starting = subprocess.Popen(
            command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = starting.wait(_PATIENCE_SECONDS)
        except BaseException as error:  # half a cluster would be found by the next who looks for one
            with contextlib.suppress(ProcessLookupError):
                os.killpg(starting.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            code = -1
        output.seek(0)
        text = output.read().decode(errors="replace")
    found = _ADDRESS.search(text)
    if code != 0 or found is None:
        raise BackendError(f"a Ray cluster could not be started with `ray start --head`:\n{last_lines(text)}")
    address = found.group(1)
    sys.stderr.write(
        f"no Ray cluster was running: started one at {address}. It stays when this process ends; `ray stop` ends it\n"
    )
    return address


def _environment() -> dict[str, str]:
    """Return the variables of this process without those that look like secrets; Ray's own are for the cluster."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("RAY_") or not (name in CREDENTIALS or looks_secret(name) or looks_secret_value(value))
    }
