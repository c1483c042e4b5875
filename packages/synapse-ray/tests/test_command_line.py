"""A driver's command line as Ray shows it."""

import pytest

from synapse_ray.command_line import hidden_words


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--env", "A=secret"], ["--env", "A=***"]),
        (["--env=A=secret"], ["--env=A=***"]),
        (["--env", "A=x=y", "B=z"], ["--env", "A=***", "B=z"]),
        (["--token", "secret"], ["--token", "***"]),
        (["--token=secret"], ["--token=***"]),
        (["-t", "secret"], ["-t", "***"]),
        (["--set", "api_key=secret", "--set", "lr=0.1"], ["--set", "api_key=***", "--set", "lr=0.1"]),
        (["--url", "https://me:secret@host/"], ["--url", "***"]),
        (
            ["run", "train", "--params", '{"lr": 1}', "-m", "task"],
            ["run", "train", "--params", '{"lr": 1}', "-m", "task"],
        ),
    ],
)
def test_the_values_that_may_be_secrets_are_left_out(given: list[str], shown: list[str]) -> None:
    assert hidden_words(["python", "-m", "synapse_cli", *given]) == ["python", "-m", "synapse_cli", *shown]
