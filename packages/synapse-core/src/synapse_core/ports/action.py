"""Port: what an executor may assume of an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from synapse_core.context import RuntimeContext

__all__ = ["RunnableAction"]


@runtime_checkable
class RunnableAction(Protocol):
    """An action made ready to run, whether it was written as a class or as a function.

    Executors are passed one as well as what it was made from, and call it by its `name`. Immutable
    and safe to share between threads.
    """

    @property
    def name(self) -> str:
        """Its name, for messages."""
        ...

    @property
    def params_model(self) -> type[BaseModel] | None:
        """Model of its params, or ``None`` where it takes a plain dict."""
        ...

    @property
    def result_model(self) -> type[BaseModel] | None:
        """Model of its result, where it states one."""
        ...

    @property
    def idempotent(self) -> bool:
        """Whether it may be run again after its worker died."""
        ...

    @property
    def is_async(self) -> bool:
        """Whether `call` returns a coroutine; a hint, the result decides."""
        ...

    def validate(self, params: Any) -> Any:
        """Return validated params. Raises `ValidationError`; runs nothing of the action's."""
        ...

    def call(self, params: Any, ctx: RuntimeContext) -> Any:
        """Run with validated params; returns the result, or an awaitable of it. Raises what the action raises."""
        ...
