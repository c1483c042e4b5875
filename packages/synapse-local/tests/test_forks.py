"""Processes of an engine are forks only where that is as good as a new process, and keep nothing of their parent's."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from synapse_local import ProcessEngine
from synapse_testing.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many threads a process has")

HEAD = """
import fcntl, multiprocessing, os, resource, signal, sys, threading, time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from synapse_local import ProcessEngine


class Work:
    may_fork = True

    def __init__(self, function):
        self.function = function

    def __call__(self, chunk):
        return self.function(chunk)

"""

HOW = """
state = "new"


def apply(chunk):
    return state, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


class Scoped(Work):
    may_fork = False

    @contextmanager
    def in_worker(self):
        yield apply


if __name__ == "__main__":
    state = "the parent's"
    signal.signal(signal.SIGTERM, lambda *_: None)
    work = Work(apply)
    {how}
    print(set(ProcessEngine(2).run(work, range(4))))
"""

WAYS = {
    "one thread": ("pass", "the parent's"),
    "a thread that has ended": ("t = threading.Thread(target=int); t.start(); t.join()", "the parent's"),
    "fork is set": ("multiprocessing.set_start_method('fork')", "the parent's"),
    "another thread": ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "new"),
    "spawn is set": ("multiprocessing.set_start_method('spawn')", "new"),
    "forkserver is set": ("multiprocessing.set_start_method('forkserver')", "new"),
    "it is not said": ("work = apply", "new"),
    "a scope": ("work = Scoped(apply)", "new"),
    "it cannot be said for a lock": ("work = partial(lambda_with, multiprocessing.get_context('spawn').Lock())", "new"),
}

HOLDS = """
def read(chunk):
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
    os.set_inheritable(lock.fileno(), True)
    fcntl.flock(lock, fcntl.LOCK_EX)
    print(list(ProcessEngine(2).run(Work(read), chunks(lock, *os.pipe()))))
"""

TOO_MANY = """
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    print(list(ProcessEngine(30).run(Work(abs), range(4))), len(multiprocessing.active_children()))
"""

INTERRUPTED = """
def interrupt(count=[0]):
    count[0] += 1
    if count[0] == 5:
        os.kill(main, signal.SIGINT)


if __name__ == "__main__":
    main = os.getpid()
    os.register_at_fork(before=interrupt)
    try:
        print(list(ProcessEngine(12).run(Work(abs), range(4))))
    except KeyboardInterrupt:
        print("interrupted", len(multiprocessing.active_children()))
"""

STOPPED = """
def note(chunk):
    Path(f"pid-{os.getpid()}").touch()
    if chunk == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.1)


def chunks():
    yield from range(8)
    time.sleep(600)


if __name__ == "__main__":
    list(ProcessEngine(4, max_inflight=8).run(Work(note), chunks()))
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], list[str | Path]]:
    """Return what writes a script, and returns the command for it."""

    def write(body: str) -> list[str | Path]:
        path = tmp_path / "script.py"
        path.write_text(HEAD + body)
        return [sys.executable, path]

    return write


def output(command: list[str | Path], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize("way", WAYS)
def test_forks_are_made_where_the_work_says_so_and_nothing_is_against_it(way, script, tmp_path) -> None:
    how, expected = WAYS[way]
    with_lock = "def lambda_with(lock, chunk):\n    return apply(chunk)\n"
    assert output(script(with_lock + HOW.replace("{how}", how)), tmp_path) == str({(expected, True, True)})


def test_files_and_locks_of_the_parent_stay_its_own(script, tmp_path) -> None:
    assert output(script(HOLDS), tmp_path) == "b'' locked again\n['', '']"


def test_where_not_all_can_be_forked_as_many_are_spawned_as_there_are_chunks(script, tmp_path) -> None:
    assert output(script(TOO_MANY), tmp_path) == "[0, 1, 2, 3] 0"


def test_an_interrupt_between_two_forks_comes_when_all_are_made(script, tmp_path) -> None:
    assert output(script(INTERRUPTED), tmp_path) == "interrupted 0"


def test_forks_end_with_their_parent_also_where_one_of_them_cannot(script, tmp_path) -> None:
    parent = subprocess.Popen(script(STOPPED), cwd=tmp_path)
    try:
        until(lambda: len(list(tmp_path.glob("pid-*"))) == 4)
        parent.kill()
        pids = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
        until(lambda: sum(Path(f"/proc/{pid}").exists() for pid in pids) == 1)
        (left,) = (pid for pid in pids if Path(f"/proc/{pid}").exists())
        assert "\nState:\tT" in Path(f"/proc/{left}/status").read_text()
    finally:
        parent.kill()
        parent.wait()
        for path in tmp_path.glob("pid-*"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.name.removeprefix("pid-")), signal.SIGKILL)


class Unpicklable:
    may_fork = True

    def __call__(self, chunk: int) -> int:
        return chunk

    def __reduce__(self) -> str:
        raise TypeError("it cannot be pickled")


def test_what_cannot_be_pickled_cannot_be_forked_either() -> None:
    with pytest.raises(TypeError, match="it cannot be pickled"):
        list(ProcessEngine(1).run(Unpicklable(), [1]))


OUTLIVED = """
def chunks():
    yield 1  # for which the processes are made
    other = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    other.start()
    yield other.pid


if __name__ == "__main__":
    found = list(ProcessEngine(2).run(Work(abs), chunks()))
    print(found[0], [child.pid for child in multiprocessing.active_children()] == found[1:])
    os.kill(found[1], signal.SIGKILL)
"""


def test_a_child_of_the_users_that_stays_keeps_no_run_from_its_end(script, tmp_path) -> None:
    done = subprocess.run([*script(OUTLIVED)], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout == "1 True\n"  # Python warns of such a fork, since the engine has threads
