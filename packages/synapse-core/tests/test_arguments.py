"""A mistyped constructor argument is refused by naming the nearest one."""

import inspect

import pytest

from synapse_core.arguments import refuse_unknown_arguments


class Machine:
    @refuse_unknown_arguments
    def __init__(self, num_gpus: int = 0, *, working_dir: str = ".") -> None:
        self.given = (num_gpus, working_dir)


def test_known_arguments_pass_by_position_and_by_name() -> None:
    assert Machine(2, working_dir="x").given == (2, "x")
    assert Machine(num_gpus=1).given == (1, ".")


def test_an_unknown_one_names_the_class_the_nearest_and_all() -> None:
    with pytest.raises(TypeError) as caught:
        Machine(num_gpu=1)  # type: ignore[call-arg]
    assert str(caught.value) == (
        "Machine has no argument 'num_gpu'. Did you mean 'num_gpus'? Arguments: num_gpus, working_dir"
    )


def test_the_message_names_the_subclass() -> None:
    class Bigger(Machine):
        pass

    with pytest.raises(TypeError, match=r"^Bigger has no argument 'x'"):
        Bigger(x=1)  # type: ignore[call-arg]


def test_too_many_positions_are_refused_as_python_does() -> None:
    with pytest.raises(TypeError, match="positional"):
        Machine(1, 2)  # type: ignore[misc]


def test_the_signature_is_still_there_for_editors() -> None:
    assert list(inspect.signature(Machine).parameters) == ["num_gpus", "working_dir"]
