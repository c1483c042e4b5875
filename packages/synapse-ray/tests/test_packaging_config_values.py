"""The values of a plugin's config do not lie in the package that every node unpacks."""

import io
import zipfile
from pathlib import Path

import pytest
import yaml

from synapse_ray.packaging import pack
from synapse_ray.packaging.config_values import without_values


@pytest.mark.parametrize(
    "text",
    [
        "code: x\nenv:\n  A: hush-1\n  B: 2\n# kept\nactions: {}\n",
        "env: {A: hush-1}\ncode: x\n",
        '{"code":"x","env":{"A":"hush-1"},"z":1}',
        "code: x\nenv:\n  A: hush-1",
        "env:\n  A: |\n    hush-1\n    hush-2\n\ncode: q\n",
        "code: x\nruntime_env:\n  pip: [a]\n  env_vars:\n    T: hush-1\nenv: &e\n  A: hush-2\n",
        "\ufeffenv: {A: hush-1}\r\ncode: x\r\n",
    ],
)
def test_the_values_are_left_out_and_all_else_stays(text: str) -> None:
    found = without_values(text.encode()).decode()
    assert "hush" not in found
    whole, left = yaml.safe_load(text.removeprefix("\ufeff")), yaml.safe_load(found)
    for mapping in (whole, whole.get("runtime_env", {})):
        for key in ("env", "env_vars"):
            if key in mapping:
                mapping[key] = {}
    assert left == whole


@pytest.mark.parametrize("text", ["code: environment\n", "env: [broken\n", "env:\n", "- env\n", "\xff env"])
def test_what_has_none_or_is_no_config_stays_as_it_is(text: str) -> None:
    assert without_values(text.encode("latin-1")) == text.encode("latin-1")


def test_the_package_has_another_config_than_the_folder_and_no_other_difference(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("code: x\nenv: {A: hush}\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.yaml").write_text("env: {A: of-somebody-else}\n")
    package = pack(tmp_path)
    archive = zipfile.ZipFile(io.BytesIO(package.to_zip()))
    assert archive.read("config.yaml") == b"code: x\nenv: {}\n"
    assert archive.read("data/config.yaml") == b"env: {A: of-somebody-else}\n"
    (tmp_path / "config.yaml").write_text("code: x\nenv: {A: another}\n")
    assert pack(tmp_path).digest == package.digest
