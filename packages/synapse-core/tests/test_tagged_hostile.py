"""Data of strangers becomes a value or a ValueError: it ends no process, and imports nothing where that is asked."""

import base64
import contextlib
import enum
import json
import sys
import types
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel

from synapse_core.config import PluginConfig
from synapse_core.errors import ExecutionError
from synapse_core.model.outcome import Outcome
from synapse_core.model.status import JobStatus
from synapse_core.model.tagged import PlainData, decode, encode, import_type, loaded_type
from synapse_core.model.tagged_reading import _READERS, _SIMPLE


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    left: int
    right: int


class Outer:
    class Model(BaseModel):
        n: int = 1


def array(dtype: Any, shape: Any, raw: bytes, tag: str = "ndarray") -> dict[str, Any]:
    return {"$type": tag, "dtype": dtype, "shape": shape, "value": base64.b64encode(raw).decode()}


@pytest.mark.parametrize(
    "data",
    [
        array("|O", [1], b"\x01" * 8),
        array("O", [], b"\x01" * 8, "numpy-scalar"),
        array("i4,O", [1], b"\x01" * 12),
        array("i4,i4", [1], b"\x01" * 8),
        array("(2,)i4", [1], b"\x01" * 8),
        array([["a", "O"]], [1], b"\x01" * 8),
        array({"names": ["a"], "formats": ["O"]}, [1], b"\x01" * 8),
        array("T", [1], b"\x01" * 16),
        array("i4", [2], b"\x01" * 4),
        array("i4", [1], b"\x01" * 8),
        array("i4", [-1], b""),
        array("i4", [True], b"\x01" * 4),
        array("i4", [1.0], b"\x01" * 4),
        array("i4", 1, b"\x01" * 4),
        array("i4", None, b"\x01" * 4),
        array("i4", [2**40, 2**40], b""),
        array("i4", [1] * 100, b"\x01" * 4),
        array("i4", [1], b"\x01" * 4, "numpy-scalar"),
        array("i4" * 1000, [1], b"\x01" * 4),
        array("nonsense", [1], b""),
        {"$type": "ndarray", "value": "AA=="},
    ],
    ids=lambda data: str(data)[:80],
)
def test_an_array_that_numpy_would_trust_blindly_is_refused(data: Any) -> None:
    pytest.importorskip("numpy")
    with pytest.raises(ValueError):
        decode(data)


def test_a_named_tuple_with_fewer_values_than_fields_is_refused() -> None:
    data = encode(Pair(1, 2))
    data["value"].pop()
    with pytest.raises(ValueError, match="1 values are not the 2 fields"):
        decode(data)


NAMES = st.sampled_from(
    [f"{__name__}:Colour", f"{__name__}:Pair", f"{__name__}:Outer.Model", "builtins:list", "builtins:dict", "enum:Enum",
     "pydantic:BaseModel", "os:environ", "os:system", "typing:Union", "no.such:Thing", ":", "builtins:"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | NAMES
KEYS = st.sampled_from(
    ["value", "type", "fields", "set", "extra", "private", "generic", "others", "missing", "dtype", "shape", "fold",
     "zone", "pure", "origin", "args"]
)  # fmt: skip
DTYPES = st.sampled_from(["|O", "i4", "<U0", "<U3", "M8[ns]", "V4", "i4,O", "S", "T"])


def deeper(inner: Any) -> Any:
    tagged = st.builds(
        lambda tag, facts: {**facts, "$type": tag},
        st.sampled_from([*_SIMPLE, *_READERS]),
        st.dictionaries(KEYS, inner | NAMES | DTYPES),
    )
    return st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | tagged


@settings(max_examples=400, deadline=None)
@given(st.recursive(LEAVES, deeper, max_leaves=12), st.booleans())
def test_any_json_is_a_value_or_a_value_error(data: Any, strange: bool) -> None:
    with contextlib.suppress(ValueError):
        decode(data, find_type=loaded_type if strange else import_type)


# -- which classes data may name --------------------------------------------------------------


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "trap_for_readers.py").write_text(
        "import enum, pathlib\n"
        "pathlib.Path(__file__).with_name('ran').touch()\n"
        "class Mode(enum.Enum):\n    A = 1\n"
        "class Oops(Exception): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "trap_for_readers", raising=False)
    return str(tmp_path / "ran")


def named(name: str) -> list[Any]:
    return [
        {"$type": "enum", "type": name, "value": 1},
        {"$type": "dataclass", "type": name, "value": {"a": 1}},
        {"$type": "namedtuple", "type": name, "value": [1], "fields": ["a"]},
        {"$type": "model", "type": name, "value": {}, "set": [], "extra": None, "private": None},
        {"$type": "model", "type": name, "generic": {"origin": name, "args": [name]}, "value": {}, "set": [],
         "extra": None, "private": None},
        {"$type": "tuple", "value": [{"$type": "set", "value": [{"$type": "enum", "type": name, "value": 1}]}]},
        {"$type": "dict", "value": [[{"$type": "enum", "type": name, "value": 1}, 1]]},
    ]  # fmt: skip


@pytest.mark.parametrize("data", named("trap_for_readers:Mode"), ids=lambda data: str(data["$type"]))
def test_reading_with_loaded_type_imports_nothing(trap: str, data: Any) -> None:
    decode(data, find_type=loaded_type)
    Outcome(value=data).unwrap(find_type=loaded_type)
    assert "trap_for_readers" not in sys.modules
    assert not Path(trap).exists()


def test_an_error_is_rebuilt_from_loaded_classes_only(trap: str) -> None:
    sent = Outcome.of_error(ExceptionGroup("all", [ValueError(Colour.RED)])).to_dict()
    text = json.dumps(sent).replace("builtins:ValueError", "trap_for_readers:Oops")
    text = text.replace(f"{__name__}:Colour", "trap_for_readers:Mode")
    with pytest.raises(ExecutionError):
        Outcome.from_dict(json.loads(text)).unwrap(loaded_type)
    assert not Path(trap).exists()
    assert isinstance(Outcome.from_dict(sent).error.to_exception(loaded_type).__cause__, ExceptionGroup)  # type: ignore[union-attr]


@pytest.mark.parametrize("value", [Colour.RED, Pair(1, 2), Outer.Model(n=3), [{Colour.RED: Pair(1, 2)}]], ids=str)
def test_what_is_loaded_is_rebuilt(value: Any) -> None:
    back = decode(json.loads(json.dumps(encode(value))), find_type=loaded_type)
    assert (type(back), back) == (type(value), value)


def test_a_name_that_a_module_makes_on_demand_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded_type(f"{PluginConfig.__module__}:PluginConfig") is PluginConfig
    module = types.ModuleType("lazy_here")
    module.__getattr__ = lambda name: PluginConfig  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "lazy_here", module)
    assert loaded_type("lazy_here:PluginConfig") is None
    assert loaded_type("builtins:len") is None
    assert loaded_type("os:path") is None
    assert loaded_type("") is None


def test_a_caller_may_decide_by_itself() -> None:
    asked: list[str] = []

    def only_statuses(name: str) -> type | None:
        asked.append(name)
        return {"synapse_core.model.status:JobStatus": JobStatus}.get(name)

    back = decode(encode([JobStatus.RUNNING, Pair(1, 2)]), find_type=only_statuses)
    assert back[0] is JobStatus.RUNNING
    assert isinstance(back[1], PlainData)
    assert asked == ["synapse_core.model.status:JobStatus", f"{__name__}:Pair"]


@pytest.mark.parametrize(("line", "stays"), [("raise KeyboardInterrupt", True), ("import sys; sys.exit(1)", False)])
def test_ctrl_c_during_an_import_stays_ctrl_c_and_a_script_is_no_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, stays: bool
) -> None:
    (tmp_path / "module_that_stops.py").write_text(line)
    monkeypatch.syspath_prepend(str(tmp_path))
    data = {"$type": "enum", "type": "module_that_stops:X", "value": 1}
    if stays:
        with pytest.raises(KeyboardInterrupt):
            decode(data)
    else:
        assert decode(data) == 1
