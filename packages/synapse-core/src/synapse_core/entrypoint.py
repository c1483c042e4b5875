"""Entrypoint strings: ``'package.module:Name'`` and ``'package.module.Name'``."""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from synapse_core.errors import ActionLoadError, nearest
from synapse_core.safe_text import safe_str

__all__ = ["import_entrypoint", "split_entrypoint"]

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__))


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
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise _load_error(entrypoint, error) from error  # the module is there; what it imports is not
            missing = missing or error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # importing runs the plugin's code, which may even call sys.exit
            raise _load_error(entrypoint, error) from error
        else:
            return _attribute(module, qualname, entrypoint)
    assert missing is not None  # there is always at least one pair
    raise _load_error(entrypoint, missing) from missing


def _attribute(module: ModuleType, qualname: str, entrypoint: str) -> Any:
    found: Any = module
    for part in qualname.split("."):
        if not hasattr(found, part):
            known = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
            where = getattr(module, "__file__", None) or module.__name__
            raise ActionLoadError(
                f"entrypoint {entrypoint!r}: {where} has no {part!r}.{nearest(part, known)}", entrypoint=entrypoint
            )
        found = getattr(found, part)
    return found


def _load_error(entrypoint: str, error: BaseException) -> ActionLoadError:
    return ActionLoadError(
        f"entrypoint {entrypoint!r} does not import: {type(error).__name__}: {safe_str(error)}",
        entrypoint=entrypoint,
        traceback=_own_traceback(error),
    )


def _own_traceback(error: BaseException) -> str:
    """Return the traceback without the frames of Synapse and of the import system; empty if none is left."""
    text = traceback.TracebackException.from_exception(error)
    kept = [
        frame
        for frame in text.stack
        if not frame.filename.startswith(("<frozen importlib", _OWN_FOLDER))
        and not frame.filename.endswith(os.path.join("importlib", "__init__.py"))
    ]
    if not kept and not isinstance(error, SyntaxError):
        return ""
    text.stack = traceback.StackSummary.from_list(kept)
    return "".join(text.format())
