"""Calls from other threads, and the end of the connection."""

from __future__ import annotations

from synapse_testing.ray_fixtures import RunScript


def test_the_end_of_the_connection_waits_for_a_call_that_has_begun(run_script: RunScript) -> None:
    code = """
    import threading
    import ray
    from synapse_ray.shutdown_guard import no_shutdown

    for _ in range(2):  # also for a connection that is made later
        ray.init(log_to_driver=False)
        one = ray.remote(lambda: 1)
        begun, ended = threading.Event(), threading.Event()

        def call():
            with no_shutdown():
                begun.set()
                print(ended.wait(0.5), ray.is_initialized())
                one.remote()
                print("called")

        calling = threading.Thread(target=call)
        calling.start()
        begun.wait()
        ray.shutdown()
        ended.set()
        print("ended")
        calling.join()
    """
    done = run_script(code)
    assert done.stdout.split() == ["False", "True", "called", "ended"] * 2, done.stderr
    assert done.returncode == 0


def test_a_fork_waits_for_no_thread_of_the_process_that_it_was_forked_from(run_script: RunScript) -> None:
    code = """
    import os
    import signal
    import threading
    from ray._private import worker
    from synapse_ray.shutdown_guard import no_shutdown

    begun, done = threading.Event(), threading.Event()

    def call():
        with no_shutdown():
            begun.set()
            done.wait()

    calling = threading.Thread(target=call)
    calling.start()
    begun.wait()
    guarded = worker.disconnect
    if not (child := os.fork()):
        signal.alarm(5)  # half as long as it would wait for a lock that nobody releases
        with no_shutdown():
            pass
        worker.disconnect()
        os._exit(0 if worker.disconnect is guarded else 1)
    print(os.waitpid(child, 0)[1])
    done.set()
    calling.join()
    """
    done = run_script(code)
    assert done.stdout == "0\n", done.stderr
