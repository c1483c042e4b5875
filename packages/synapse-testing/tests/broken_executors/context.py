"""Executors that spoil the context, or what is reported to it."""

from __future__ import annotations

import contextlib
import os

from broken_executors.base import breaks
from synapse_core.context import RuntimeContext
from synapse_core.ports.events import RecordingSink
from synapse_testing import InMemoryExecutor


class _Anonymous(RuntimeContext):
    __slots__ = ()
    job_id = None


class ChangesTheContext(InMemoryExecutor):
    def change(self, ctx: RuntimeContext) -> RuntimeContext:
        raise NotImplementedError

    def _context(self, *args, **kwargs):
        return self.change(super()._context(*args, **kwargs))


@breaks("test_an_execution_has_an_identity")
class GivesNoIdentity(ChangesTheContext):
    def change(self, ctx):
        return _Anonymous(env=ctx.env, sink=ctx._sink)


@breaks("test_a_given_job_id_is_the_one_the_action_sees")
class IgnoresTheJobId(ChangesTheContext):
    def change(self, ctx):
        return RuntimeContext(env=ctx.env, sink=ctx._sink)


@breaks("test_env_reaches_the_action")
class DropsTheEnv(ChangesTheContext):
    def change(self, ctx):
        return RuntimeContext(job_id=self._job_id, sink=ctx._sink)


@breaks("test_env_values_keep_their_types")
class TurnsEnvIntoText(ChangesTheContext):
    def change(self, ctx):
        return RuntimeContext(env={k: str(v) for k, v in ctx.env.items()}, job_id=self._job_id, sink=ctx._sink)


@breaks("test_env_stands_above_the_process_environment")
class PutsEnvBelowTheProcess(ChangesTheContext):
    def change(self, ctx):
        return RuntimeContext(env={**ctx.env, **os.environ}, job_id=self._job_id, sink=ctx._sink)


@breaks("test_what_an_action_reports_reaches_the_sink")
class DropsEvents(ChangesTheContext):
    def change(self, ctx):
        return RuntimeContext(env=ctx.env, job_id=self._job_id, sink=RecordingSink())


class HoldsEventsBack(InMemoryExecutor):
    """Hands events on at the end, in the order of `sort`."""

    def sort(self, events):
        return events

    def execute(self, *args, **kwargs):
        sink, self.sink = self.sink, RecordingSink()
        try:
            return super().execute(*args, **kwargs)
        finally:
            for event in self.sort(self.sink.events):
                with contextlib.suppress(Exception):
                    sink.emit(event)
            self.sink = sink


@breaks("test_events_arrive_while_the_action_runs")
class SendsEventsAtTheEnd(HoldsEventsBack):
    pass


@breaks("test_a_broken_sink_is_no_failure")
class DiesWithItsSink(HoldsEventsBack):
    def execute(self, *args, **kwargs):
        if type(self.sink).__name__ == "_BrokenSink":
            self.sink.emit(None)
        return InMemoryExecutor.execute(self, *args, **kwargs)


@breaks("test_events_arrive_in_order")
class ShufflesEvents(ChangesTheContext):
    def change(self, ctx):
        class Late(RecordingSink):
            """Hands each event on only after the next one."""

            def emit(inner, event):
                later, inner.events[:] = [*inner.events], [] if event.kind == "message" else [event]
                for each in ([event] if event.kind == "message" else []) + later:
                    self.sink.emit(each)

        return RuntimeContext(env=ctx.env, job_id=self._job_id, sink=Late())
