"""Processes of an engine are forks only where that is as good as a new process, and keep nothing of their parent's."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many threads a process has")

SCRIPT = """
import fcntl, multiprocessing, os, signal, sys, threading
from contextlib import contextmanager
from synapse_local import ProcessEngine

state = "new"


def apply(chunk):
    return state, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.getsignal(signal.SIGINT).__name__


class Scoped:
    @contextmanager
    def in_worker(self):
        yield apply


if __name__ == "__main__":
    state = "the parent's"
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    work = apply
    {how}
    print(set(ProcessEngine(2).run(work, range(4))))
"""

WAYS = {
    "one thread": ("pass", "the parent's"),
    "another thread": ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "new"),
    "spawn was chosen": ("multiprocessing.set_start_method('spawn')", "new"),
    "forkserver was chosen": ("multiprocessing.set_start_method('forkserver')", "new"),
    "fork was chosen": ("multiprocessing.set_start_method('fork')", "the parent's"),
    "a scope": ("work = Scoped()", "new"),
}


@pytest.mark.parametrize("way", WAYS)
def test_forks_are_made_where_nothing_can_be_wrong_with_them(way: str, tmp_path: Path) -> None:
    how, expected = WAYS[way]
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("{how}", how))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert done.stdout.strip() == str({(expected, True, "default_int_handler")})


HOLDS = """
import fcntl, os
from pathlib import Path
from synapse_local import ProcessEngine


def apply(chunk):
    return os.read(chunk, 100).decode()


def chunks(lock, reads, writes):
    yield reads  # for which the processes are made
    os.close(writes)
    end = os.read(reads, 100)  # which waits for as long as anybody else has the other end
    lock.close()
    with open("lock", "w") as again:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print(end, "locked again")
    yield reads


if __name__ == "__main__":
    lock = open("lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    print(list(ProcessEngine(2).run(apply, chunks(lock, *os.pipe()))))
"""


def test_files_and_locks_of_the_parent_stay_its_own(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(HOLDS)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("b'' locked again\n['', '']\n", "")
