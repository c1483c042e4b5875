"""Settings keep their type, convert on request, and show no values."""

import copy
import os
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from synapse_core.environment import PluginEnvironment
from synapse_core.errors import ConfigError, EnvironmentValueError
from synapse_core.ports.environment import Environment

SECRETS = ["API_KEY", "apiKey", "HF_TOKEN", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "DB_PWD", "credentials"]


def test_values_keep_the_type_they_were_given() -> None:
    values = {"A": 1, "B": True, "C": [1], "D": None, "E": {"x": 1}}
    env = PluginEnvironment(values)
    assert env.to_dict() == values
    assert [type(env[key]) for key in values] == [type(value) for value in values.values()]
    assert env.get("A") == 1
    assert env.get("Z", 5) == 5
    assert isinstance(env, Environment)


@pytest.mark.parametrize(
    ("method", "value", "expected"),
    [
        ("get_str", "x", "x"), ("get_str", 5, "5"), ("get_str", True, "True"),
        ("get_int", "64", 64), ("get_int", " 64 ", 64), ("get_int", 64.0, 64), ("get_int", True, 1), ("get_int", "-1", -1),
        ("get_float", "0.5", 0.5), ("get_float", "1e-3", 0.001), ("get_float", 1, 1.0), ("get_float", "inf", float("inf")),
        *[("get_bool", word, True) for word in ("true", "1", "yes", "YES", " On ", "t", True, 1)],
        *[("get_bool", word, False) for word in ("false", "0", "no", "off", "", False, 0)],
        ("get_list", "a, b,,c ", ["a", "b", "c"]), ("get_list", "", []), ("get_list", (1, 2), [1, 2]), ("get_list", [1], [1]),
    ],
)  # fmt: skip
def test_typed_accessors_convert(method: str, value: Any, expected: Any) -> None:
    found = getattr(PluginEnvironment({"KEY": value}), method)("KEY")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("method", ["get_str", "get_int", "get_float", "get_bool", "get_list"])
def test_a_missing_or_null_value_is_the_default(method: str) -> None:
    env = PluginEnvironment({"NULL": None})
    for key in ("NULL", "MISSING"):
        assert getattr(env, method)(key) is None
        assert getattr(env, method)(key, default="d") == "d"


@pytest.mark.parametrize(
    ("method", "value", "wanted"),
    [
        ("get_int", "64.5", "an integer"), ("get_int", 64.5, "an integer"), ("get_int", Decimal("64.5"), "an integer"),
        ("get_int", float("inf"), "an integer"), ("get_int", "many", "an integer"), ("get_int", [], "an integer"),
        ("get_float", "x", "a number"), ("get_float", {}, "a number"),
        ("get_bool", "maybe", "a boolean"), ("get_bool", 2, "a boolean"),
        ("get_list", 5, "a list"), ("get_list", {}, "a list"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_convert_names_key_value_and_type(method: str, value: Any, wanted: str) -> None:
    with pytest.raises(EnvironmentValueError) as caught:
        getattr(PluginEnvironment({"BATCH": value}), method)("BATCH")
    assert f"BATCH={value!r} ({type(value).__name__}) is not {wanted}" in str(caught.value)


@pytest.mark.parametrize("key", SECRETS)
def test_the_value_of_a_key_that_looks_secret_is_not_in_the_error(key: str) -> None:
    with pytest.raises(EnvironmentValueError) as caught:
        PluginEnvironment({key: "hunter2"}).get_int(key)
    assert key in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("value", ["https://ann:hunter2@example.com", ["-----BEGIN PRIVATE KEY-----hunter2"]])
def test_a_value_with_the_form_of_a_secret_is_hidden_under_any_key(value: Any) -> None:
    with pytest.raises(EnvironmentValueError) as caught:
        PluginEnvironment({"STORE": value}).get_int("STORE")
    assert "hunter2" not in str(caught.value)


def test_repr_shows_names_and_no_values() -> None:
    env = PluginEnvironment({f"NAME_{n}": "hunter2" for n in range(20)})
    assert "NAME_0" in repr(env)
    assert "12 more" in repr(env)
    assert "hunter2" not in f"{env!r} {env}"
    assert repr(PluginEnvironment()) == "PluginEnvironment(0 keys)"


def test_it_cannot_be_changed_and_does_not_follow_what_it_was_made_from() -> None:
    values = {"A": 1}
    env = PluginEnvironment(values)
    values["A"] = 2
    env.to_dict()["A"] = 3
    assert env["A"] == 1
    with pytest.raises(TypeError):
        env["A"] = 4  # type: ignore[index]
    with pytest.raises(TypeError):
        del env["A"]  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        env.A = 5  # type: ignore[attr-defined]


def test_it_survives_pickling_and_copying() -> None:
    env = PluginEnvironment({"A": 1, "B": [True]})
    for back in (pickle.loads(pickle.dumps(env)), copy.copy(env), copy.deepcopy(env)):
        assert type(back) is PluginEnvironment
        assert back == env == {"A": 1, "B": [True]}


def test_from_environ_is_a_snapshot_and_drops_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYAPP_A", "1")
    monkeypatch.setenv("MYAPP_", "nameless")
    monkeypatch.setenv("OTHER_A", "2")
    env = PluginEnvironment.from_environ(prefix="MYAPP_")
    whole = PluginEnvironment.from_environ()
    monkeypatch.setenv("MYAPP_A", "changed")
    assert env == {"A": "1"}
    assert whole["MYAPP_A"] == "1"
    assert whole["OTHER_A"] == "2"


def test_merging_by_class_and_by_method_is_the_same_and_later_ones_win() -> None:
    base, middle, top = PluginEnvironment({"A": 1, "B": 1}), {"B": 2, "C": 2}, PluginEnvironment({"C": 3})
    by_class = PluginEnvironment.merge(base, middle, top)
    assert by_class == base.merge(middle, top) == {"A": 1, "B": 2, "C": 3}
    assert type(by_class) is PluginEnvironment
    assert base == {"A": 1, "B": 1}
    assert PluginEnvironment.merge(base) == base
    assert base.merge(None) == base  # type: ignore[arg-type]


def test_a_toml_file_gives_typed_values_and_tables_as_dicts(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes('\ufeffNAME = "ü"\nN = 3\nTAGS = ["a"]\n[db]\nport = 1\n'.encode())
    assert PluginEnvironment.from_file(str(file)) == {"NAME": "ü", "N": 3, "TAGS": ["a"], "db": {"port": 1}}


def test_a_file_of_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "c.toml").write_text("A = 1")
    assert PluginEnvironment.from_file("~/c.toml")["A"] == 1


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        (b"A = 1\nB = \n", 2, "not valid TOML"),
        (b"A = 1\nA = 2\n", 2, "not valid TOML"),
        (b"A = '\xff'", None, "UTF-8"),
        (None, None, "No such file"),
    ],
)
def test_a_bad_file_is_one_error_that_names_it(
    tmp_path: Path, content: bytes | None, line: int | None, told: str
) -> None:
    file = tmp_path / "config.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        PluginEnvironment.from_file(file)
    assert str(caught.value).startswith(f"{file}:{line}:" if line else f"{file}:")
    assert told in str(caught.value)
    assert (caught.value.path, caught.value.line) == (str(file), line)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        PluginEnvironment.from_file(tmp_path)


def test_nothing_writes_to_the_process_environment() -> None:
    before = dict(os.environ)
    PluginEnvironment.from_environ().merge({"SYNAPSE_TEST_X": "1"})
    assert dict(os.environ) == before
