from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import ip_address
from pathlib import PurePosixPath
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st
from pydantic import HttpUrl, SecretStr

from synapse_core.errors import BackendMissingError, ValidationError
from synapse_flow.packing import Packing, UnpackableValueError


class Color(Enum):
    RED = 1


class Size(IntEnum):
    S = 1


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.dates(), st.times(),
    st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30)), ZoneInfo("Europe/Paris")])),
    st.timedeltas(), st.decimals(allow_nan=False), st.uuids(), st.sampled_from([Color.RED, Size.S]),
    st.ip_addresses(), st.just(PurePosixPath("/a/b")), st.just(HttpUrl("https://example.org/x")), st.just(SecretStr("s")),
)  # fmt: skip
HASHABLE = st.one_of(st.integers(), st.text(), st.dates(), st.uuids(), st.just(Decimal("1.10")))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(st.one_of(st.text(), st.integers()), inner), st.tuples(inner, inner),
        st.sets(HASHABLE), st.frozensets(HASHABLE),
    ),
    max_leaves=10,
)  # fmt: skip


def types(value):
    if isinstance(value, dict):
        return {key: types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [types(item) for item in value]
    return type(value)


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_what_is_unpacked_is_equal_and_of_the_same_types(compression):
    packing = Packing(compression)

    @given(VALUES)
    def check(value):
        unpacked = packing.unpack(packing.pack(value))
        assert unpacked == value
        assert types(unpacked) == types(value)

    check()


def test_digits_of_decimals_zones_and_folds_are_kept():
    packing = Packing()
    for value in (
        Decimal("1.100"),
        Decimal("NaN"),
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1),
    ):
        unpacked = packing.unpack(packing.pack(value))
        assert repr(unpacked) == repr(value)


def test_a_type_that_is_not_known_is_named():
    class Local(Enum):
        A = 1

    for value, name in ((object(), "builtins.object"), ([{"a": range(3)}], "builtins.range"), (Local.A, "Local")):
        with pytest.raises(UnpackableValueError, match=f"a value of type .*{name}.* cannot be sent to another process"):
            Packing().pack(value)


def test_a_compression_that_is_not_known_or_not_installed_is_told(monkeypatch):
    with pytest.raises(ValidationError, match="compression is 'zip'; it may be 'lz4' or None"):
        Packing("zip")
    monkeypatch.setitem(__import__("sys").modules, "lz4.frame", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'synapse-flow\[lz4\]'"):
        Packing("lz4")


def test_compressed_is_smaller():
    rows = [{"name": "x" * 50, "id": i} for i in range(1000)]
    assert len(Packing("lz4").pack(rows).data) < len(Packing().pack(rows).data) / 3


def test_uuid_and_dates_are_short():
    packing = Packing()
    assert len(packing.pack(UUID(int=1)).data) == 18
    assert len(packing.pack(date(2024, 1, 1)).data) == 6
    assert packing.unpack(packing.pack(time(1, 2))) == time(1, 2)
    assert packing.unpack(packing.pack(ip_address("::1"))) == ip_address("::1")


def test_a_worker_of_csv_or_json_imports_little():
    code = """
import sys
from synapse_flow.inputs import csv_decoding, json_decoding, row_decoding
from synapse_flow.outputs import compressing, csv_collecting, json_collecting
from synapse_flow.work import ChunkWork
print([name for name in ("asyncio", "cloudpickle", "fsspec", "pydantic.networks", "synapse_flow.pipe") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
