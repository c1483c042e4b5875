"""The finder of private names; the first on ``sys.meta_path``, and silent about any other name.

A private name may come out of a pickle before its plugin was loaded, or long after it was edited. In
this order it is served by

1. that very version, if it is attached;
2. the version of the same folder that was loaded in this process: a stored pickle opens with the
   code as it is now, as it would without private names;
3. that version itself, found by its stub in the cache folder;
4. where its folder is gone, another one of the same sources, else, with a warning, of the same code.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

from synapse_core.loading.isolation import Attached, all_attached, attach, attached
from synapse_core.loading.stubs import find_stubbed_folder, has_stub
from synapse_core.private_names import PREFIX, PrivateName

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object  # importlib.abc brings tempfile and zipfile along

__all__ = ["install_finder"]

_stand_ins: dict[str, str] = {}


class _Finder:
    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        top, _, rest = fullname.partition(".")
        found = attached(top)
        if found is None and top not in _stand_ins:
            found = _serve(top)
        if found is not None:
            return found.find_spec(fullname, path, anew=target is not None)
        if top not in _stand_ins:
            return None
        return ModuleSpec(fullname, _StandInLoader(f"{_stand_ins[top]}.{rest}".rstrip(".")), is_package=True)


def _serve(top: str) -> Attached | None:
    """Attach the version that `top` stands for, or choose another one to stand in for it."""
    name = PrivateName.parse(top)
    if name is None:
        return None
    known = [one for one in all_attached() if _slug(one) == name.slug]
    if (same := _of_same_folder(top, name, known)) is not None:
        _stand_ins[top] = same.name
        return None
    folder = find_stubbed_folder(top)
    if folder is not None and (os.path.isdir(folder) or not known):
        try:
            return attach(top, folder)
        except ImportError:
            if not known:
                raise
    if known:
        other = next((one for one in known if f"_{name.digest}" in one.name), None)
        if other is None:
            other = known[0]
            import logging

            logging.getLogger("synapse").warning("%s is not on this machine; using %s for it", top, other.name)
        _stand_ins[top] = other.name
    return None


def _slug(found: Attached) -> str | None:
    name = PrivateName.parse(found.name)
    return name.slug if name else None


def _of_same_folder(top: str, name: PrivateName, known: list[Attached]) -> Attached | None:
    for found in known:
        its = PrivateName.parse(found.name)
        if its is not None and its.digest == name.digest and str(its.at(found.folder)) == top:
            return found  # loaded here without a second folder of equal content
    return next((found for found in known if found.is_loaded and has_stub(found.folder, top)), None)


class _StandInLoader(Loader):
    """Serves a module of one version by that of another."""

    def __init__(self, real_name: str) -> None:
        self._real_name = real_name

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self._real_name)


def install_finder() -> None:
    """Put the finder on ``sys.meta_path``, once."""
    if not any(finder is _Finder for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder)
