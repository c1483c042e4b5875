"""What is said where something waits for actors or tasks that do not start."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import ray

from synapse_ray.placement import in_words, of_nodes

__all__ = ["StartNotice", "notice_text"]


class StartNotice:
    """Says once on stderr what is waited for, when that takes long.

    Args:
        resources: What each of them asks for, as Ray takes it.
        who: What they are called.

    Attributes:
        patience: Seconds of waiting after which it is said.
    """

    patience = 10.0

    def __init__(self, resources: Mapping[str, Any], who: str = "actor") -> None:
        self._resources = dict(resources)
        self._who = who
        self._is_said = False

    def due(self, since: float) -> bool:
        """Say whether who waits since `since` has waited long, and nothing was said yet."""
        return not self._is_said and time.monotonic() - since >= self.patience

    def say(self, count: int) -> None:
        """Say that `count` of them have not started."""
        self._is_said = True
        try:
            free: Mapping[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
            total: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        except Exception:  # the cluster may be gone, which others say better
            return
        sys.stderr.write(notice_text(count, self._resources, free, total, self._who))


def notice_text(
    count: int, resources: Mapping[str, Any], free: Mapping[str, float], total: Mapping[str, float], who: str = "actor"
) -> str:
    """Return one line: how many have not started, what each asks for, what is free.

    Args:
        count: How many have not started.
        resources: What each of them asks for, as Ray takes it.
        free: What is free in the whole cluster.
        total: What the cluster has.
        who: What they are called.
    """
    # Without a word about CPUs an actor needs one to be placed, and none while it lives.
    wanted = of_nodes({"num_cpus": 1, **resources})
    asked = ", ".join(in_words(name, amount) for name, amount in wanted.items()) or "nothing"
    has = ", ".join(
        f"{in_words(name, free.get(name, 0)).partition(' ')[0]} of {in_words(name, total.get(name, 0))}"
        for name in wanted
    )
    lacks = any(free.get(name, 0) < amount for name, amount in wanted.items())
    why = (
        "They start when other work on the cluster ends; `ray status` shows it"
        if lacks
        else "Their processes or their environment are being made, or no node has that alone"
    )
    them = f"1 {who} has" if count == 1 else f"{count} {who}s have"
    each = "it asks" if count == 1 else "each asks"
    return f"still waiting: {them} not started, and {each} for {asked}. Free in the cluster: {has or 'all'}. {why}\n"
