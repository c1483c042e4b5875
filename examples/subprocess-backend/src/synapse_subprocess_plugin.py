"""What synapse-subprocess offers, without importing it."""

from synapse_core.plugins.descriptions import ExecutorDescription
from synapse_core.plugins.hookspecs import hookimpl

from synapse_subprocess.capabilities import SUBPROCESS_CAPABILITIES


@hookimpl
def synapse_executors():
    return [
        ExecutorDescription(
            name="subprocess",
            target="synapse_subprocess.executor:SubprocessExecutor",
            help="in a fresh Python process for each action",
            capabilities=SUBPROCESS_CAPABILITIES,
            options=("env", "job_id", "sink"),
        )
    ]
