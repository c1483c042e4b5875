"""The tree of errors is what its drawing says, and every error survives copying and pickling."""

import copy
import pickle
import re
from typing import Any

import pytest

from synapse_core import errors
from synapse_core.errors import (
    ActionNotFoundError,
    ConfigError,
    ExecutionError,
    ExecutionTimeoutError,
    FieldProblem,
    JobNotFoundError,
    PluginError,
    ValidationError,
    nearest,
)

CLASSES = [
    getattr(errors, name)
    for name in errors.__all__
    if name.endswith("Error") and hasattr(getattr(errors, name), "args")
]


def drawn_tree() -> dict[str, tuple[str | None, str | None]]:
    """Return name → (parent, builtin base) as drawn in the module's docstring."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([\s│├└─]*)([A-Z]\w+Error)\b\s*(?:\((\w+)\))?", line)
        if not found or not (found[1].strip() or line.strip() == "PluginError"):
            continue
        indent = len(found[1])
        above = [(width, name) for width, name in above if width < indent]
        tree[found[2]] = (above[-1][1] if above else None, found[3])
        above.append((indent, found[2]))
    return tree


def test_the_drawn_tree_is_the_tree_of_classes() -> None:
    drawn = drawn_tree()
    assert drawn.keys() == {cls.__name__ for cls in CLASSES}
    for cls in CLASSES:
        parent, builtin = drawn[cls.__name__]
        ours, *others = cls.__bases__
        assert ours.__name__ == (parent or "Exception")
        assert [base.__name__ for base in others] == ([builtin] if builtin else [])


@pytest.mark.parametrize(
    ("child", "parents"),
    [
        (ValidationError, (PluginError, ValueError)),
        (ActionNotFoundError, (PluginError,)),
        (ExecutionError, (PluginError,)),
        (ExecutionTimeoutError, (ExecutionError, TimeoutError)),
        (errors.ExecutionCancelledError, (ExecutionError,)),
        (JobNotFoundError, (ExecutionError,)),
    ],
)
def test_the_documented_relations_hold(child: type, parents: tuple[type, ...]) -> None:
    assert all(issubclass(child, parent) for parent in parents)
    assert not issubclass(ValidationError, ExecutionError)


def filled(cls: Any) -> Any:
    """Return an error with something in every attribute that its constructor takes."""
    problem = FieldProblem("a.b", "'x'", "has to be a number", "int_parsing")
    values = {
        "problems": [problem],
        "action": "train",
        "known": ["a", "b"],
        "path": "/p",
        "line": 3,
        "entrypoint": "a:B",
        "traceback": "T",
        "name": "n",
        "original_type": "ValueError",
        "original_message": "m",
        "remote_traceback": "T",
        "details": {"job_id": "j"},
        "install": "pip install x",
    }
    taken: dict[str, Any] = {}
    for name, value in values.items():
        try:
            cls("text", **{name: value})
        except TypeError:
            continue
        taken[name] = value
    error = cls("text", **taken)
    error.add_note("a note")
    assert all(getattr(error, name) for name in taken)
    return error


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, *(lambda e, p=p: pickle.loads(pickle.dumps(e, p)) for p in range(6))]
)
def test_every_error_survives_with_its_attributes(cls: Any, way: Any) -> None:
    error = filled(cls)
    back = way(error)
    assert type(back) is cls
    assert (str(back), back.args, vars(back)) == (str(error), error.args, vars(error))
    assert getattr(back, "msg", None) == getattr(error, "msg", None)


def test_an_error_of_a_backend_survives_too() -> None:
    back = pickle.loads(pickle.dumps(OfABackend("queue", size=3)))
    assert (type(back), str(back), back.size) == (OfABackend, "full: queue", 3)


class OfABackend(errors.BackendError):
    def __init__(self, queue: str, *, size: int) -> None:
        super().__init__(f"full: {queue}")
        self.size = size


def test_a_validation_error_has_a_line_per_field_with_path_value_and_rule() -> None:
    error = ValidationError(
        "params are not valid:",
        problems=[
            FieldProblem("a.b", "'x'", "has to be a number", "t"),
            FieldProblem("c", None, "Field required", "missing"),
        ],
    )
    assert str(error).splitlines()[1:] == ["  a.b: has to be a number (given: 'x')", "  c: Field required"]


def test_the_nearest_name_is_suggested_and_a_far_one_is_not() -> None:
    assert nearest("trian", ["train", "test"]) == " Did you mean 'train'?"
    assert nearest("id", ["ID", "age"]) == " Did you mean 'ID'?"
    assert nearest("xyz", ["train"]) == ""


def test_an_error_can_be_caught_by_its_builtin_name() -> None:
    with pytest.raises(ValueError, match="wrong"):
        raise ConfigError("wrong", path="p", line=1)
    with pytest.raises(TimeoutError):
        raise ExecutionTimeoutError("late")
    with pytest.raises(LookupError):
        raise JobNotFoundError("gone")
