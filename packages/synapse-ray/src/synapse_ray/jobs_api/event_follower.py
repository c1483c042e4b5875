"""What a job reports while it runs, handed on to the sink of whoever waits for it."""

from __future__ import annotations

import contextlib
import json

from synapse_core.errors import BackendError
from synapse_core.ports.events import EventSink
from synapse_ray.event_relay import Relay
from synapse_ray.jobs_api.answers import JobDetails
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.jobs_api.entrypoint import nonce_of, side_folder
from synapse_ray.jobs_api.segments import SegmentReader

__all__ = ["EventFollower"]


class EventFollower:
    """Hands on the reports of one job, each once and in order.

    Args:
        dashboard: Of its cluster.
        sink: Where they go.
    """

    def __init__(self, dashboard: Dashboard, sink: EventSink) -> None:
        self._dashboard = dashboard
        self._relay = Relay(lambda: sink)
        self._reader: SegmentReader | None = None
        self._rest = b""

    def look(self, info: JobDetails) -> bool:
        """Hand on what is new; ``False`` where there was nothing."""
        nonce = nonce_of(info.metadata)
        found = False
        if nonce is None or info.node_id is None:
            return found
        if self._reader is None:
            self._reader = SegmentReader(f"{side_folder(nonce)}/events")
        while not self._reader.ended:
            content = self._dashboard.read_file(info.node_id, self._reader.wanted())
            for payload in self._reader.feed(content):
                found = True
                self._take(payload)
            if not self._reader.behind:
                break
        return found

    def finish(self, info: JobDetails) -> None:
        """Hand on what is left of a job that has ended; its node may be gone."""
        with contextlib.suppress(BackendError):
            self.look(info)

    def _take(self, payload: bytes) -> None:
        *lines, self._rest = (self._rest + payload).split(b"\n")
        for line in lines:
            try:
                report = json.loads(line)
            except ValueError:  # damaged on its node; reporting never kills an action
                continue
            self._relay(report)
