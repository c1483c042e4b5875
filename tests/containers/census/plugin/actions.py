"""Actions that say where they run."""

import socket
import threading

from pydantic import BaseModel

from synapse_core import BaseAction, RuntimeContext


class CountParams(BaseModel):
    text: str


class CountResult(BaseModel):
    words: int
    longest: str


class CountAction(BaseAction[CountParams, CountResult]):
    """Count words, one line of the log for each."""

    def execute(self) -> CountResult:
        words = self.params.text.split()
        for number, word in enumerate(words, start=1):
            self.ctx.log_message(f"word {number}: {word}")
            self.ctx.set_progress(number, len(words))
        print(f"counted on {socket.gethostname()}", flush=True)
        return CountResult(words=len(words), longest=max(words, key=len))


def where(params: dict, ctx: RuntimeContext) -> str:
    """Name the host."""
    return socket.gethostname()


class HoldParams(BaseModel):
    host: str


class HoldAction(BaseAction[HoldParams, str]):
    """Hang on one host, and on any other name it at once."""

    def execute(self) -> str:
        here = socket.gethostname()
        self.ctx.log_message(f"holding on {here}")
        if here == self.params.host:
            threading.Event().wait()
        return here


class HoldAgainAction(HoldAction):
    """The same, and it may be run again."""

    idempotent = True
