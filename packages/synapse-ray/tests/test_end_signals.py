"""The signal by which Ray ends a driver, in processes without a cluster."""

import signal
import subprocess
import sys

import pytest

STARTED = "from synapse_ray.jobs_api.end_signals import end_on_signal; end_on_signal()"


def start(code: str, before: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", before + STARTED + code], stdout=subprocess.PIPE, text=True)


def test_processes_that_an_action_forks_and_ends_do_not_end_it() -> None:
    process = start("""
import multiprocessing, time
context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:  # which ends its idle workers by SIGTERM
    print(pool.map(abs, [-1, 2]))
child = context.Process(target=time.sleep, args=(60,))
child.start()
child.terminate()
child.join()
print(child.exitcode)
time.sleep(2.5)  # longer than an action has that was asked to end
print("went on")
""")
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output.splitlines()) == (0, ["[1, 2]", str(-signal.SIGTERM), "went on"])


def test_an_action_that_does_not_look_up_ends_all_the_same() -> None:
    process = start("""
import time
while True:
    try:
        print("at work", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        pass
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.terminate()
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (128 + signal.SIGTERM, "at work\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_action_may_clean_up(number: int) -> None:
    process = start("""
import time
try:
    print("at work", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("cleaned up")
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "cleaned up\n"
    assert process.returncode == 0


def test_a_signal_that_comes_while_the_action_forks_is_not_lost() -> None:
    # A hook that is there before ours runs after it: in the middle of a fork.
    stopping = "import os, signal; os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
    process = start(
        """
try:
    while True:
        if os.fork() == 0:
            os._exit(0)
        os.wait()
except KeyboardInterrupt:
    print("cleaned up")
""",
        before=stopping,
    )
    assert process.communicate(timeout=30)[0] == "cleaned up\n"
    assert process.returncode == 0
