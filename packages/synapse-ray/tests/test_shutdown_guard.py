"""Calls from other threads, and the end of the connection."""

from __future__ import annotations

from synapse_testing.ray_fixtures import RunScript


def test_the_end_of_the_connection_waits_for_a_call_that_has_begun(run_script: RunScript) -> None:
    code = """
    import threading
    import time
    import ray
    from synapse_ray.shutdown_guard import no_shutdown

    for _ in range(2):  # also for a connection that is made later
        ray.init(log_to_driver=False)
        one = ray.remote(lambda: 1)
        begun = threading.Event()

        def call():
            with no_shutdown():
                begun.set()
                time.sleep(0.5)
                print(ray.is_initialized())
                one.remote()
                print("called")

        calling = threading.Thread(target=call)
        calling.start()
        begun.wait()
        ray.shutdown()
        print("ended")
        calling.join()
    """
    done = run_script(code)
    assert done.stdout.split() == ["True", "called", "ended"] * 2, done.stderr
    assert done.returncode == 0
