"""Executors that spoil the caller's process, or claim what is not so."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading

from broken_executors.base import breaks
from synapse_core.errors import JobNotFoundError
from synapse_core.model.outcome import Outcome
from synapse_core.model.status import JobStatus
from synapse_core.model.tagged import decode
from synapse_core.ports.executor import Capabilities
from synapse_testing import InMemoryExecutor


@breaks("test_a_coroutine_action_returns_its_result")
class ForgetsToAwait(InMemoryExecutor):
    def _work(self, action, sent, ctx):
        if action.is_async:
            action.call(action.validate(decode(json.loads(sent))), ctx).close()
            return json.dumps(Outcome(value="<coroutine>").to_dict())
        return super()._work(action, sent, ctx)


@breaks("test_actions_run_inside_a_running_event_loop")
class NeedsALoopOfItsOwn(InMemoryExecutor):
    def execute(self, *args, **kwargs):
        async def call():
            return InMemoryExecutor.execute(self, *args, **kwargs)

        coroutine = call()
        try:
            return asyncio.run(coroutine)
        finally:
            coroutine.close()


@breaks("test_calls_run_at_once")
class ClaimsToBeParallel(InMemoryExecutor):
    lock = threading.Lock()

    def _work(self, action, sent, ctx):
        with self.lock:
            return super()._work(action, sent, ctx)


@breaks("test_each_thread_gets_its_own_identity")
class OneIdentityForAllThreads(InMemoryExecutor):
    def execute(self, *args, **kwargs):
        if threading.current_thread() is not threading.main_thread():
            self._job_id = self._job_id or "shared"
        return super().execute(*args, **kwargs)


@breaks("test_capabilities_are_stated")
class StatesNothing(InMemoryExecutor):
    capabilities = ("returns_result",)


@breaks("test_what_is_not_claimed_raises_at_once")
class SubmitsUnclaimed(InMemoryExecutor):
    def submit(self, action, params, *, job_id=None):
        return job_id or "accepted"


@breaks("test_what_is_claimed_is_there")
class ClaimsLogsItDoesNotHave(InMemoryExecutor):
    capabilities = Capabilities(returns_result=True, logs=True, parallel=True, environment=True, events=True)


@breaks("test_shutdown_may_be_called_twice")
class ShutsDownOnce(InMemoryExecutor):
    def shutdown(self):
        if "ended" in self.__dict__:
            raise RuntimeError("is shut down")
        self.ended = True


@breaks("test_submit_returns_before_the_work_is_done")
class ClaimsJobsItDoesNotHave(InMemoryExecutor):
    capabilities = Capabilities(returns_result=True, jobs=True, parallel=True, environment=True, events=True)

    def submit(self, action, params, *, job_id=None):
        return job_id or "lost"

    def get_status(self, job_id):
        return JobStatus.UNKNOWN

    def get_result(self, job_id, timeout=None):
        raise JobNotFoundError(job_id)

    wait = get_result


@breaks("test_env_is_refused_where_it_is_not_claimed")
class TakesAnEnvItDoesNotClaim(InMemoryExecutor):
    capabilities = Capabilities(returns_result=True, parallel=True, events=True)


@breaks("test_unknown_constructor_arguments_are_refused")
class TakesAnyArgument(InMemoryExecutor):
    def __init__(self, env=None, job_id=None, *, sink=None, **options):
        if "num_gpus" in options:
            raise TypeError("no argument 'num_gpus'")
        super().__init__(env, job_id, sink=sink)


@breaks("test_execute_ignores_further_keywords")
class RefusesFurtherKeywords(InMemoryExecutor):
    def execute(self, action=None, params=None, *, action_cls=None, entrypoint=None):
        return super().execute(action, params, action_cls=action_cls, entrypoint=entrypoint)


@breaks("test_no_thread_is_left_behind")
class LeaksAThread(InMemoryExecutor):
    def _work(self, action, sent, ctx):
        threading.Thread(target=threading.Event().wait, name="leaked", daemon=True).start()
        return super()._work(action, sent, ctx)


@breaks("test_the_process_environment_is_left_alone")
class ChangesTheProcessEnvironment(InMemoryExecutor):
    def _work(self, action, sent, ctx):
        os.environ["LAST_ACTION"] = f"{action.name} {id(sent)} {threading.get_ident()} {ctx.job_id}"
        return super()._work(action, sent, ctx)


@breaks("test_folder_and_import_path_are_left_alone")
class ExtendsTheImportPath(InMemoryExecutor):
    def _work(self, action, sent, ctx):
        sys.path.append(f"/nowhere/{len(sys.path)}")
        return super()._work(action, sent, ctx)


@breaks("test_nothing_is_printed_to_stdout")
class TalksOnStdout(InMemoryExecutor):
    def _work(self, action, sent, ctx):
        print(f"running {action.name}")
        return super()._work(action, sent, ctx)
