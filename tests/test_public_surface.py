"""The public surface is a list that somebody typed, and it agrees with what is there."""

import ast
import importlib
import inspect
import pkgutil

import pytest

PACKAGES = [
    "synapse_core",
    "synapse_local",
    "synapse_ray",
    "synapse_dask",
    "synapse_cli",
    "synapse_testing",
    "synapse_sdk",
]
LAZY_PACKAGES = ["synapse_core", "synapse_local", "synapse_ray", "synapse_dask", "synapse_testing"]


def modules_of(package: str) -> list[str]:
    root = importlib.import_module(package)
    return [package, *(info.name for info in pkgutil.walk_packages(root.__path__, f"{package}."))]


MODULES = [module for package in PACKAGES for module in modules_of(package)]


@pytest.mark.parametrize("name", MODULES)
def test_every_name_in_all_is_there(name: str) -> None:
    module = importlib.import_module(name)
    for exported in getattr(module, "__all__", ()):
        assert hasattr(module, exported), exported


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted(name: str) -> None:
    exported = list(getattr(importlib.import_module(name), "__all__", ()))
    assert exported == sorted(exported)


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_a_lazy_package_tells_type_checkers_what_it_tells_python(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse(inspect.getsource(module))
    for_type_checkers = {
        (node.module, alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    call = next(node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 2)
    homes = ast.literal_eval(call.args[1])
    for_python = {(home, name) for home, names in homes.items() for name in names}
    assert for_type_checkers == for_python
    assert {name for _, name in for_python} == set(module.__all__)


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_dir_of_a_lazy_package_lists_what_it_exports(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        importlib.import_module(package).no_such_name  # noqa: B018 - reading it is the test


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_submodules_do_not_hide_exported_names(package: str) -> None:
    module = importlib.import_module(package)
    submodules = {info.name for info in pkgutil.iter_modules(module.__path__)}
    assert not submodules & set(module.__all__)
