"""The other side: reads one request from stdin, runs it, writes events and the outcome as JSON lines."""

import json
import os
import sys
import threading
from dataclasses import replace

from synapse_core.context import RuntimeContext
from synapse_core.discovery import PluginDiscovery
from synapse_core.environment import PluginEnvironment
from synapse_core.execution import run_to_outcome
from synapse_core.model.tagged import decode
from synapse_core.resolution import resolve_action


class _Answers:
    """The pipe back to the caller, and the event sink of the action."""

    def __init__(self):
        # The pipe gets a number of its own. What the action prints goes to stderr, and cannot forge an answer.
        self._pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def say(self, **answer):
        with self._lock:
            print(json.dumps(answer), file=self._pipe, flush=True)

    def emit(self, event):
        self.say(event=event.to_dict())

    def close(self):
        pass


def _find(request):
    if request["plugin"]:
        return PluginDiscovery.from_path(request["plugin"]).resolve(request["name"])
    return replace(resolve_action(request["entrypoint"]), name=request["name"])


def main():
    answers = _Answers()
    request = json.load(sys.stdin)
    sys.path[:] = request["sys_path"]
    env = PluginEnvironment.from_environ().merge(decode(request["env"]))
    ctx = RuntimeContext(env=env, job_id=request["job_id"], sink=answers)
    outcome = run_to_outcome(_find(request), decode(request["params"]), ctx, allow_pickle=False)
    answers.say(outcome=outcome.to_dict())


if __name__ == "__main__":
    main()
