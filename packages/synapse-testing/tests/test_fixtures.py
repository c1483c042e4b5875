"""What a plugin author gets by installing synapse-testing, tried in a pytest of its own."""

import os
import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]


def test_the_fixtures_are_there_without_any_import(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pydantic import BaseModel
        from synapse_core import BaseAction, PluginDiscovery

        class Params(BaseModel):
            epochs: int = 1

        class TrainAction(BaseAction[Params]):
            def execute(self):
                self.set_progress(self.params.epochs, 10, "train")
                return {"epochs": self.params.epochs, "host": self.ctx.env["HOST"], "job_id": self.ctx.job_id}

        def test_run_action(run_action):
            run = run_action(TrainAction, {"epochs": "2"}, env={"HOST": "here"}, job_id="j-1")
            assert run.result == {"epochs": 2, "host": "here", "job_id": "j-1"}
            assert [event.fraction for event in run.reported("progress")] == [0.2]
            assert run.events == run.reported("progress")

        def test_runtime_context(runtime_context, recording_sink):
            runtime_context.log_message("hello")
            assert [event.message for event in recording_sink.events] == ["hello"]

        def test_make_plugin(make_plugin, run_action):
            folder = make_plugin({
                "config.yaml": {"code": "tiny", "name": "Tiny", "actions": {"hi": {"entrypoint": "plugin.hi:hi"}}},
                "plugin/hi.py": '''
                    from plugin.words import WORD

                    def hi(params, ctx):
                        return WORD
                ''',
                "plugin/words.py": "WORD = 'hi'",
                "weights.bin": b"\\\\x00",
            })
            assert run_action(PluginDiscovery.from_path(folder).resolve("hi")).result == "hi"
            assert (folder / "weights.bin").read_bytes() == b"\\\\x00"
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


@pytest.mark.parametrize(("ci", "outcome"), [("", {"skipped": 1}), ("true", {"failed": 1})])
def test_an_unreachable_service_skips_on_a_laptop_and_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makepyfile(
        """
        from synapse_testing import require_service

        def test_needs_a_database():
            require_service("no database at localhost:5432")
        """
    )
    result = pytester.runpytest_subprocess("-ra")
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*no database at localhost:5432*"])


def test_a_broken_promise_explains_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from synapse_testing import ExecutorConformance, InMemoryExecutor

        class Off(InMemoryExecutor):
            def _receive(self, answer):
                return 4

        class TestOff(ExecutorConformance):
            @pytest.fixture
            def executor(self):
                return Off()
        """
    )
    result = pytester.runpytest_subprocess("-k", "test_a_result_comes_back")
    result.stdout.fnmatch_lines(["*assert 4 == 5*"])


@pytest.mark.parametrize(
    ("claims", "outcome"), [("returns_result=True, gpu=True", {"failed": 1}), ("returns_result=True", {"passed": 1})]
)
def test_a_suite_that_states_capabilities_skips_nothing_and_has_to_state_the_right_ones(
    pytester: pytest.Pytester, claims: str, outcome: dict[str, int]
) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        from synapse_core import Capabilities
        from synapse_testing import ExecutorConformance, InMemoryExecutor

        class Plain(InMemoryExecutor):
            capabilities = Capabilities(returns_result=True)

        class TestPlain(ExecutorConformance):
            capabilities = Capabilities({claims})

            @pytest.fixture
            def executor(self):
                return Plain()
        """
    )
    stated = pytester.runpytest_subprocess("-k", "test_capabilities_are_stated")
    stated.assert_outcomes(**outcome)
    jobs = pytester.runpytest_subprocess("-k", "job")
    assert jobs.parseoutcomes().get("skipped", 0) == 0


def test_what_make_executor_made_is_shut_down_and_the_given_executor_is_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from synapse_testing import ExecutorConformance, InMemoryExecutor

        ended = []

        class Counting(InMemoryExecutor):
            def shutdown(self):
                ended.append(self._job_id)

        class TestCounting(ExecutorConformance):
            @pytest.fixture
            def executor(self):
                return Counting(job_id="given")

        def test_afterwards():
            assert ended == ["conformance-001"]
        """
    )
    result = pytester.runpytest_subprocess("-k", "afterwards or a_given_job_id")
    result.assert_outcomes(passed=2)


def test_the_plugin_imports_nothing_of_synapse_before_it_is_used() -> None:
    code = (
        "import sys, synapse_testing.pytest_plugin;"
        "heavy = {'pydantic', 'yaml', 'synapse_core.context', 'synapse_testing.conformance'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
