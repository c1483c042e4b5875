"""What a plugin sees of those modules of the standard library that take the name of a module as text.

``importlib.import_module('plugin.model')`` is called by plugin code and runs in code that knows nothing
of the plugin; so the plugin gets the same function with the name translated.
"""

from __future__ import annotations

import functools
import importlib
import io
import pickle
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

__all__ = ["ModuleView", "views_for"]

_ONE = ("package", "anchor")  # the first argument of functions on resources: renamed between versions of Python
_NAMING: dict[str, dict[str, tuple[str, ...]]] = {
    "importlib": {"import_module": ("name", "package")},
    "importlib.util": {"find_spec": ("name", "package")},
    "importlib.resources": dict.fromkeys(
        ("files", "contents", "is_resource", "open_binary", "open_text", "path", "read_binary", "read_text"), _ONE
    ),
    "pkgutil": {"get_data": ("package",), "resolve_name": ("name",)},
    "pickle": {},
}


class ModuleView(ModuleType):
    """A module of the standard library, some of its functions replaced."""

    def __init__(self, name: str, views: dict[str, ModuleView]) -> None:
        super().__init__(name)
        for attribute in ("__doc__", "__loader__", "__package__", "__spec__"):
            del self.__dict__[attribute]  # so that they are those of the real module
        self._views = views

    def __getattr__(self, name: str) -> Any:
        found = getattr(sys.modules[self.__name__], name)
        return self._views.get(f"{self.__name__}.{name}", found)

    def __dir__(self) -> Iterable[str]:
        return dir(sys.modules[self.__name__])


def views_for(
    translate: Callable[[str], str], show_plain_name: Callable[[ModuleNotFoundError], None]
) -> dict[str, ModuleView]:
    """Return a view of each module that is replaced.

    Args:
        translate: Returns the private name for a name of the plugin's own, any other unchanged.
        show_plain_name: Undoes that in an error.
    """
    views: dict[str, ModuleView] = {}
    for module, functions in _NAMING.items():
        view = views[module] = ModuleView(module, views)
        for name, parameters in functions.items():
            view.__dict__[name] = _Translated(module, name, parameters, translate, show_plain_name)
    views["pickle"].__dict__.update(_unpickling(translate))
    return views


class _Translated:
    """A function of the standard library that takes a plugin's own names."""

    def __init__(
        self,
        module: str,
        name: str,
        parameters: tuple[str, ...],
        translate: Callable[[str], str],
        show_plain_name: Callable[[ModuleNotFoundError], None],
    ) -> None:
        self.__name__ = self.__qualname__ = name
        self.__module__ = module
        self._parameters = parameters
        self._translate = translate
        self._show_plain_name = show_plain_name

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(importlib.import_module(self.__module__), self.__name__)
        return function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        reach = 1 if self._parameters is _ONE else len(self._parameters)
        if self.__name__ == "files" and not args and not kwargs:  # those of the calling module
            args = (sys._getframe(1).f_globals["__name__"],)
        else:
            args = (*map(self._of_own, args[:reach]), *args[reach:])
            kwargs = {key: self._of_own(value) if key in self._parameters else value for key, value in kwargs.items()}
        try:
            return self.__wrapped__(*args, **kwargs)
        except ModuleNotFoundError as error:
            self._show_plain_name(error)
            raise

    def _of_own(self, value: Any) -> Any:
        return self._translate(value) if isinstance(value, str) else value


def _unpickling(translate: Callable[[str], str]) -> dict[str, Any]:
    """Return what opens pickles that were made outside of Synapse, which name the plugin's modules plainly."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module_name: str, global_name: str) -> Any:
            return super().find_class(translate(module_name), global_name)

    @functools.wraps(pickle.load)
    def load(file: Any, **options: Any) -> Any:
        return Unpickler(file, **options).load()

    @functools.wraps(pickle.loads)
    def loads(data: Any, /, **options: Any) -> Any:
        return Unpickler(io.BytesIO(data), **options).load()

    return {"Unpickler": Unpickler, "load": load, "loads": loads}
