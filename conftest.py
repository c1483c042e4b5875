"""Every test run has a cache folder of its own, child processes included."""

import os
import tempfile

import hypothesis
import pytest

# One cluster for the tests of all packages; it starts with the first test that asks for it.
pytest_plugins = ["synapse_testing.ray_fixtures"]


def pytest_configure(config: pytest.Config) -> None:
    """Point the cache at a temporary folder before anything of Synapse is imported by a test."""
    folder = tempfile.TemporaryDirectory(prefix="synapse-test-cache-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ["SYNAPSE_CACHE_DIR"] = folder.name
    hypothesis.settings.register_profile("synapse", deadline=None)  # how long an example takes is for the benchmarks
    hypothesis.settings.load_profile("synapse")


@pytest.hookimpl(tryfirst=True)  # before pytest itself looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what uses Ray, and leave what only the long campaign has the time for to it: `.ci/full` asks for that."""
    for item in items:
        if "ray_cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.ray)
    if os.environ.get("SYNAPSE_CAMPAIGN"):
        return
    left = [item for item in items if item.get_closest_marker("campaign")]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("campaign")]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in CI that skipped something: there, everything that a test needs is to be installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == pytest.ExitCode.OK and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
