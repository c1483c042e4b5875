"""The work that is killed; importable on workers."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from synapse_core import action

__all__ = ["finish", "finish_again", "finish_with_much"]


def finish(params: dict[str, Any], ctx: Any) -> int:
    """Leave the process's id where the killer looks, work for a while, and return the number."""
    Path(params["pid_file"]).write_text(str(os.getpid()))
    ctx.log("begun", {"number": params["number"]})
    time.sleep(params["seconds"])
    number: int = params["number"]
    return number


@action(name="finish_again", idempotent=True)
def finish_again(params: dict[str, Any], ctx: Any) -> int:
    """Do the same, and say that it may be done again."""
    return finish(params, ctx)


def finish_with_much(params: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Do the same, with a result that is too long to be kept in the cluster."""
    return {"number": finish(params, ctx), "filling": bytes(17 * 2**20)}
