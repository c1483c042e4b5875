"""The suites find every fault: each broken executor and engine fails exactly the promise that is named beside it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

_HERE = Path(__file__).parent


def _load_broken(name: str) -> dict[str, tuple[type, str]]:
    """Import what lies beside this file; pytest's importlib mode puts no folder of tests on ``sys.path``."""
    path = _HERE / name / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, path if path.exists() else _HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BROKEN


EXECUTORS = _load_broken("broken_executors")
ENGINES = _load_broken("broken_engines")
Outcomes = dict[str, dict[str, set[str]]]


def _outcomes(suite: str, report: Path, *options: str) -> Outcomes:
    """Return promises by class and outcome, from one real pytest run over all that is broken."""
    command = [
        *(sys.executable, "-m", "pytest", _HERE / suite, "-q", f"--junitxml={report}"),
        *("-p", "no:cacheprovider", "--rootdir", report.parent, "-c", "/dev/null"),
        *("-o", f"pythonpath={_HERE}", "-o", "junit_family=xunit1", "--timeout", "120", "--tb=no", *options),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert report.exists(), run.stdout + run.stderr
    found: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"} or {"passed"}
        outcomes = found.setdefault(case.attrib["classname"].rpartition(".Test")[2], {})
        for kind in kinds:
            outcomes.setdefault(kind, set()).add(case.attrib["name"].partition("[")[0])
    return found


@pytest.fixture(scope="session")
def executor_outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    # Of the table of values one will do: the tuple, which one of them loses.
    values = "not test_a_value_keeps_its_type and not test_params_keep_their_types or tuple"
    return _outcomes("suite_of_broken_executors.py", report, "-k", values)


@pytest.fixture(scope="session")
def engine_outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return _outcomes("suite_of_broken_engines.py", tmp_path_factory.mktemp("broken") / "report.xml")


@pytest.mark.campaign  # the suite, once for each fault; CI has it for engines
@pytest.mark.parametrize("name", EXECUTORS)
def test_a_broken_executor_fails_the_promise_named_beside_it(executor_outcomes: Outcomes, name: str) -> None:
    _, promise = EXECUTORS[name]
    found = executor_outcomes[name]
    assert found.get("failure", set()) == {promise}
    assert found.get("error", set()) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_a_broken_engine_fails_the_promise_named_beside_it(engine_outcomes: Outcomes, name: str) -> None:
    _, promise = ENGINES[name]
    found = engine_outcomes[name]
    assert found.get("failure", set()) == {promise}
    assert found.get("error", set()) == set()


@pytest.mark.campaign
def test_a_suite_without_an_executor_fails_loudly(executor_outcomes: Outcomes) -> None:
    found = executor_outcomes["WithoutAnExecutor"]
    assert set(found) == {"error"}
    assert len(found["error"]) >= 40


@pytest.mark.slow
def test_a_suite_without_an_engine_fails_loudly(engine_outcomes: Outcomes) -> None:
    found = engine_outcomes["WithoutAnEngine"]
    assert "passed" not in found
    assert "failure" not in found


@pytest.mark.parametrize(
    ("suite", "promise", "fixture"),
    [
        ("ExecutorConformance", "test_a_result_comes_back", "executor"),
        ("RecordEngineConformance", "test_results_come_in_input_order", "engine"),
    ],
)
def test_the_message_without_a_backend_says_what_to_write(
    pytester: pytest.Pytester, suite: str, promise: str, fixture: str
) -> None:
    pytester.makepyfile(
        f"""
        from synapse_testing import {suite}

        class TestMine({suite}):
            pass
        """
    )
    result = pytester.runpytest_subprocess("-k", promise)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*TestMine has no {fixture} to test*", f"*def {fixture}(self):*"])
