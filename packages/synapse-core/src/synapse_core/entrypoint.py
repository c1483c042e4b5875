"""Entrypoint strings: ``'package.module:Name'`` and ``'package.module.Name'``."""

from __future__ import annotations

import importlib
import os
import pkgutil
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from synapse_core.errors import ActionLoadError, nearest
from synapse_core.private_names import with_plain_names
from synapse_core.safe_text import safe_str

__all__ = ["import_entrypoint", "split_entrypoint"]

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
_NOT_THERE = object()


def split_entrypoint(entrypoint: str) -> Iterator[tuple[str, str]]:
    """Yield the (module, qualname) pairs that `entrypoint` may mean, the likeliest first.

    Raises:
        ActionLoadError: It has neither form.
    """
    module, colon, qualname = entrypoint.strip().partition(":")
    parts = f"{module}.{qualname}".split(".") if colon else module.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ActionLoadError(
            f"entrypoint {entrypoint!r} is not of the form 'package.module:Name' or 'package.module.Name'",
            entrypoint=entrypoint,
        )
    if colon:
        yield module, qualname
        return
    for cut in range(len(parts) - 1, 0, -1):  # a.b.Outer.Inner: the longest prefix that is a module
        yield ".".join(parts[:cut]), ".".join(parts[cut:])


def import_entrypoint(entrypoint: str, importer: Callable[[str], ModuleType] = importlib.import_module) -> Any:
    """Import what `entrypoint` names; the name may be nested.

    Raises:
        ActionLoadError: With the plugin's own traceback, where its code is at fault.
    """
    missing: ModuleNotFoundError | None = None
    for module_name, qualname in split_entrypoint(entrypoint):
        try:
            module = importer(module_name)
            found = _attribute(module, qualname, entrypoint)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise _load_error(entrypoint, error) from error  # the module is there; what it imports is not
            missing = missing or error
        except (ActionLoadError, KeyboardInterrupt):
            raise
        except BaseException as error:  # importing runs the plugin's code, which may even call sys.exit
            raise _load_error(entrypoint, error) from error
        else:
            return found
    assert missing is not None  # there is always at least one pair
    raise _load_error(entrypoint, missing, _nearest_module(missing.name or "", importer)) from missing


def _attribute(module: ModuleType, qualname: str, entrypoint: str) -> Any:
    found: Any = module
    for part in qualname.split("."):
        inner = getattr(found, part, _NOT_THERE)
        if inner is _NOT_THERE:
            known = [name for name in getattr(found, "__dict__", ()) if not name.startswith("_")]
            if found is module:
                known += _submodules(module)
            raise ActionLoadError(
                f"entrypoint {entrypoint!r}: {_place(module)} has no {part!r}.{nearest(part, known)}",
                entrypoint=entrypoint,
            )
        found = inner
    return found


def _place(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), module.__name__)


def _submodules(module: ModuleType) -> list[str]:
    return [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))]


def _nearest_module(name: str, importer: Callable[[str], ModuleType]) -> str:
    """Say which module beside the missing one may have been meant."""
    package, _, last = name.rpartition(".")
    try:
        close = nearest(last, _submodules(importer(package))) if package else ""
    except KeyboardInterrupt:
        raise
    except BaseException:  # the package's own code fails: there is nothing to suggest then
        return ""
    return close.replace("'", f"'{package}.", 1)


def _load_error(entrypoint: str, error: BaseException, hint: str = "") -> ActionLoadError:
    text = safe_str(error)
    if isinstance(error, SystemExit):
        what = f"it calls sys.exit({'' if error.code is None else repr(error.code)}) while it is imported"
    elif isinstance(error, SyntaxError) and error.filename:
        what = f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    else:
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return ActionLoadError(
        with_plain_names(f"entrypoint {entrypoint!r} does not import: {what}") + (f".{hint}" if hint else ""),
        entrypoint=entrypoint,
        traceback=with_plain_names(_own_traceback(error)),
    )


def _own_traceback(error: BaseException) -> str:
    """Return the traceback without the frames of Synapse and of the import system; empty if none is left."""
    text = traceback.TracebackException.from_exception(error)
    _keep_own_frames(text)
    if not text.stack and not isinstance(error, SyntaxError):
        return ""
    return "".join(text.format())


def _keep_own_frames(text: traceback.TracebackException) -> None:
    for other in (text.__cause__, text.__context__, *(text.exceptions or ())):
        if other is not None:
            _keep_own_frames(other)
    text.stack = traceback.StackSummary.from_list(
        [
            frame
            for frame in text.stack
            if not frame.filename.startswith(("<frozen importlib", _OWN_FOLDER))
            and not frame.filename.endswith(os.path.join("importlib", "__init__.py"))
        ]
    )
