"""The suite finds every fault: each broken executor fails exactly the promise that is named beside it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

_HERE = Path(__file__).parent


def _load_broken_executors() -> dict[str, tuple[type, str]]:
    """Import the package beside this file; pytest's importlib mode puts no folder of tests on ``sys.path``."""
    folder = _HERE / "broken_executors"
    spec = importlib.util.spec_from_file_location(folder.name, folder / "__init__.py")
    assert spec
    assert spec.loader
    module = sys.modules[folder.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BROKEN


BROKEN = _load_broken_executors()
Outcomes = dict[str, dict[str, set[str]]]


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Promises by class and outcome, from one real pytest run over all broken executors."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    command = [
        *(sys.executable, "-m", "pytest", _HERE / "suite_of_broken_executors.py", "-q", f"--junitxml={report}"),
        *("-p", "no:cacheprovider", "--rootdir", report.parent, "-c", "/dev/null"),
        *("-o", f"pythonpath={_HERE}", "-o", "junit_family=xunit1", "--timeout", "120", "--tb=no"),
        # Of the table of values one will do: the tuple, which one of them loses.
        *("-k", "not test_a_value_keeps_its_type and not test_params_keep_their_types or tuple"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert report.exists(), run.stdout + run.stderr
    found: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"} or {"passed"}
        suite = found.setdefault(case.attrib["classname"].rpartition(".Test")[2], {})
        for kind in kinds:
            suite.setdefault(kind, set()).add(case.attrib["name"].partition("[")[0])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_executor_fails_the_promise_named_beside_it(outcomes: Outcomes, name: str) -> None:
    _, promise = BROKEN[name]
    found = outcomes[name]
    assert found.get("failure", set()) == {promise}
    assert found.get("error", set()) == set()


@pytest.mark.slow
def test_a_suite_without_an_executor_fails_loudly(outcomes: Outcomes) -> None:
    found = outcomes["WithoutAnExecutor"]
    assert set(found) == {"error"}
    assert len(found["error"]) >= 40


def test_the_message_without_an_executor_says_what_to_write(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from synapse_testing import ExecutorConformance

        class TestMine(ExecutorConformance):
            pass
        """
    )
    result = pytester.runpytest_subprocess("-k", "test_a_result_comes_back")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TestMine has no executor to test*", "*def executor(self):*"])
