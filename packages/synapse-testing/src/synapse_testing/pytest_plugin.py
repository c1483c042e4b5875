"""The pytest plugin: fixtures for plugin authors, and what the conformance suites need of pytest.

Loaded in every pytest run of an environment that has synapse-testing, so it imports nothing of
Synapse until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from synapse_core.context import RuntimeContext
    from synapse_core.ports.events import RecordingSink
    from synapse_testing.plugin_fixtures import ActionRun

# Before any of them is imported: their asserts explain themselves as those of a test file do.
pytest.register_assert_rewrite("synapse_testing.conformance", "synapse_testing.plugin_fixtures")

_broken_promises = pytest.StashKey[set[str]]()


@pytest.fixture
def recording_sink() -> RecordingSink:
    """An event sink that keeps everything: ``recording_sink.events``."""
    from synapse_core.ports.events import RecordingSink

    return RecordingSink()


@pytest.fixture
def runtime_context(recording_sink: RecordingSink) -> RuntimeContext:
    """A context to construct an action with; what it reports is in ``recording_sink.events``."""
    from synapse_core.context import RuntimeContext

    return RuntimeContext(sink=recording_sink)


@pytest.fixture
def make_plugin(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a plugin folder: ``make_plugin({"config.yaml": {...}, "plugin/train.py": "..."})``."""
    from synapse_testing.plugin_fixtures import write_plugin

    def make(files: dict[str, Any], name: str = "plugin-under-test") -> Path:
        return write_plugin(tmp_path / name, files)

    return make


@pytest.fixture
def run_action() -> Callable[..., ActionRun]:
    """A function that runs an action as every executor does: ``run_action(TrainAction, {"epochs": 2}).result``.

    Its answer has ``result`` and ``events``; it raises what an executor raises. ``env=`` and
    ``job_id=`` are those of the context.
    """
    from synapse_testing.plugin_fixtures import run_recorded

    return run_recorded


# -- conformance suites -----------------------------------------------------------------------
# A promise is skipped where it does not apply (deselected, where the suite states the capabilities
# itself), and where it rests on one that has failed in the same class: an executor that loses every
# event breaks one promise, not six. Skipping from here
# rather than from a fixture gives one line for all promises of one reason.


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what does not apply to a suite that states its executor's capabilities."""
    void = [item for item in items if _is_promise(item) and _is_void(item)]
    if void:
        config.hook.pytest_deselected(items=void)
        items[:] = [item for item in items if item not in set(void)]


def _is_void(item: pytest.Item) -> bool:
    from synapse_testing.conformance.group import why_not

    suite: Any = getattr(item, "cls", None)
    promise: Any = getattr(item, "function", None)
    return suite.capabilities is not None and why_not(promise, suite.capabilities) != ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember which promises of a suite have failed."""
    report = yield
    if report.failed and item.parent is not None and _is_promise(item):
        item.parent.stash.setdefault(_broken_promises, set()).add(_name(item))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Skip a promise that does not apply, or rests on one that has failed."""
    if item.parent is None or not _is_promise(item):
        return
    reason = getattr(item, "funcargs", {}).get("_does_not_apply", "")
    if not reason:
        broken = item.parent.stash.get(_broken_promises, set())
        names = getattr(getattr(item, "function", None), "rests_on", ())
        if fallen := [name for name in names if name in broken]:
            broken.add(_name(item))  # what rests on this one falls with it
            reason = f"rests on {fallen[0]}, which is broken"
    if reason:
        pytest.skip(reason)


def _is_promise(item: pytest.Item) -> bool:
    return getattr(getattr(item, "cls", None), "is_conformance_suite", False)


def _name(item: pytest.Item) -> str:
    return getattr(item, "originalname", item.name)
