"""Re-exports of packages that may not be installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any


def facade(module: str, homes: Mapping[str, tuple[str, str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a module whose names live in optional packages.

    Args:
        module: The facade's ``__name__``.
        homes: Name → the module that it lives in, and the distribution to install.
    """

    def __getattr__(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, distribution = homes[name]
        if importlib.util.find_spec(home.partition(".")[0]) is None:
            # Not an AttributeError: `from x import y` would replace its text.
            raise ModuleNotFoundError(
                f"{module}.{name} needs the package {distribution}. Install it with: pip install '{distribution}'",
                name=home,
            )
        return getattr(importlib.import_module(home), name)

    def __dir__() -> list[str]:
        return sorted(homes)

    return __getattr__, __dir__
