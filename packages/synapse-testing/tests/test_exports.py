"""The public surface is the list that somebody typed."""

import ast
from pathlib import Path

import synapse_testing

_SOURCE = ast.parse(Path(synapse_testing.__file__).read_text(encoding="utf-8"))


def test_the_list_is_sorted_and_every_name_is_there() -> None:
    assert synapse_testing.__all__ == sorted(synapse_testing.__all__)
    for name in synapse_testing.__all__:
        assert getattr(synapse_testing, name).__name__ == name


def test_readers_and_type_checkers_see_the_same_names() -> None:
    (checked,) = [node for node in _SOURCE.body if isinstance(node, ast.If)]
    imported = {alias.asname for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == set(synapse_testing.__all__)
