"""What came of running an action, a value or an error, as data that can cross any boundary."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from synapse_core import errors
from synapse_core.errors import ExecutionError, FieldProblem, PluginError, ValidationError
from synapse_core.json_types import to_json_types
from synapse_core.model.tagged import PlainData, UnencodableError, decode, encode, import_type, type_name
from synapse_core.model.type_names import FindType
from synapse_core.rebuilding import rebuild_exception, take_apart
from synapse_core.safe_text import format_traceback, safe_str, shorten

__all__ = ["ErrorData", "Outcome"]

_OWN_ERRORS: dict[str, type[PluginError]] = {
    name: cls
    for name in errors.__all__
    if isinstance(cls := getattr(errors, name), type) and issubclass(cls, PluginError)
}


@dataclass(frozen=True, slots=True)
class ErrorData:
    """An exception as data.

    Attributes:
        kind: Name of the Synapse error to raise from it.
        message: Its message.
        original_type: ``module:qualname`` of the action's own exception, where there was one.
        original_message: Its text.
        original_args: Its ``args`` as tagged data, where they have that form; for rebuilding it.
        traceback: Text of the traceback.
        problems: Field problems of a `ValidationError`.
        details: Further facts, JSON types only.
        children: Members of an exception group.
        original_state: Its attributes as tagged data, those that have that form.
        state: Attributes of the Synapse error that have no field here, as tagged data.
    """

    kind: str
    message: str
    original_type: str | None = None
    original_message: str | None = None
    original_args: list[Any] | None = None
    traceback: str = ""
    problems: tuple[FieldProblem, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    children: tuple[ErrorData, ...] = ()
    original_state: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_exception(cls, error: BaseException) -> ErrorData:
        """Describe `error`; an `ExecutionError` is described with its cause."""
        if isinstance(error, ValidationError):
            return cls(
                _kind_of(error),
                safe_str(error) if not error.args else str(error.args[0]),
                problems=error.problems,
                details={"action": error.action},
            )
        if isinstance(error, ExecutionError):
            original = cls._from_original(error.__cause__) if error.__cause__ is not None else None
            return cls(
                _kind_of(error),
                safe_str(error),
                original_type=original.original_type if original else error.original_type,
                original_message=error.original_message,
                original_args=original.original_args if original else None,
                traceback=error.remote_traceback,
                details=to_json_types(error.details, []),
                children=original.children if original else (),
                original_state=original.original_state if original else {},
            )
        if isinstance(error, PluginError):
            return cls(
                _kind_of(error), safe_str(error), traceback=format_traceback(error), state=_encode_state(error.__dict__)
            )
        return cls._from_original(error)

    @classmethod
    def _from_original(cls, error: BaseException) -> ErrorData:
        args: list[Any] | None
        children: tuple[ErrorData, ...] = ()
        raw, state = take_apart(error)
        if isinstance(error, BaseExceptionGroup):
            raw = (error.message,)
            children = tuple(cls._from_original(child) for child in error.exceptions)
        try:
            args = encode(list(raw))
        except UnencodableError:
            args = None
        return cls(
            "ExecutionError",
            safe_str(error),
            original_type=type_name(type(error)),
            original_message=safe_str(error),
            original_args=args,
            traceback=format_traceback(error),
            children=children,
            original_state=_encode_state(state),
        )

    def to_exception(self, find_type: FindType = import_type) -> PluginError:
        """Return the Synapse error, its ``__cause__`` the original where that can be rebuilt here.

        Args:
            find_type: Returns the classes that it names, as for `decode`.
        """
        kind = _OWN_ERRORS.get(self.kind, ExecutionError)
        if issubclass(kind, ValidationError):
            return kind(self.message, problems=self.problems, action=self.details.get("action"))
        if not issubclass(kind, ExecutionError):
            own = kind(self.message)
            own.__dict__.update(_decode_state(self.state, find_type))
            return own
        error = kind(
            self.message,
            original_type=_short_name(self.original_type),
            original_message=self.original_message,
            remote_traceback=self.traceback,
            details=self.details,
        )
        error.__cause__ = self._rebuild_original(find_type)
        return error

    def _rebuild_original(self, find: FindType) -> BaseException | None:
        if self.original_type is None or self.original_args is None:
            return None
        try:
            cls = find(self.original_type)
            if cls is None or not issubclass(cls, BaseException):
                return None
            args = decode(self.original_args, find_type=find)
            if self.children:
                args.append([child._rebuild_original(find) or child.to_exception(find) for child in self.children])
            error = rebuild_exception(cls, tuple(args), _decode_state(self.original_state, find))
        except Exception:  # its `__new__` may want other arguments than `args`
            return None
        # An attribute that could not be carried may be what its text is made from.
        return error if safe_str(error) == self.original_message else None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types."""
        return {
            "kind": self.kind,
            "message": self.message,
            "original_type": self.original_type,
            "original_message": self.original_message,
            "original_args": self.original_args,
            "traceback": self.traceback,
            "problems": [[p.path, p.given, p.rule, p.type] for p in self.problems],
            "details": self.details,
            "children": [child.to_dict() for child in self.children],
            "original_state": self.original_state,
            "state": self.state,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ErrorData:
        """Read what `to_dict` wrote, here or by another version."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        return cls(
            **{
                **known,
                "problems": tuple(FieldProblem(*row) for row in data.get("problems", ())),
                "children": tuple(cls.from_dict(child) for child in data.get("children", ())),
            }
        )


def _kind_of(error: PluginError) -> str:
    """Return the name of the closest error of Synapse's own tree; a backend may have subclasses of its own."""
    return next(cls.__name__ for cls in type(error).__mro__ if _OWN_ERRORS.get(cls.__name__) is cls)


def _short_name(original_type: str | None) -> str | None:
    """Return ``"ValueError"`` for ``"builtins:ValueError"``: what `ExecutionError` had where it was raised."""
    if original_type is None or ":" not in original_type:
        return original_type
    return original_type.partition(":")[2].rpartition(".")[2]


def _encode_state(attributes: Mapping[str, Any]) -> dict[str, Any]:
    state = {}
    for name, value in attributes.items():
        try:
            state[str(name)] = encode(value)
        except UnencodableError:  # an open connection, say; the error is worth having without it
            continue
    return state


def _decode_state(state: Mapping[str, Any], find: FindType) -> dict[str, Any]:
    return {name: decode(value, find_type=find) for name, value in state.items()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A value or an error, as data.

    Attributes:
        value: The result as tagged data, or its description; meaningless where there is an error.
        pickled: The result as pickle bytes, where it has no form as data and the boundary
            to be crossed trusts both sides; never read or written over HTTP.
        stand_in: The value is only a description of a result that could not be carried.
        error: What went wrong, or ``None``.
    """

    value: Any = None
    pickled: bytes | None = None
    stand_in: bool = False
    error: ErrorData | None = None

    @property
    def ok(self) -> bool:
        """Whether the action succeeded."""
        return self.error is None

    @classmethod
    def of_value(cls, value: Any, *, allow_pickle: bool) -> Outcome:
        """Encode a result. A result that cannot be carried is a success with a described stand-in."""
        try:
            return cls(value=encode(value))
        except UnencodableError as unencodable:
            if allow_pickle:
                try:
                    # The description is for a reader that cannot open the pickle.
                    return cls(value={"type_name": type_name(type(value))}, pickled=pickle.dumps(value))
                except Exception as unpicklable:  # pickling runs the user's code
                    unencodable = UnencodableError(f"{unencodable}, and pickling it fails: {safe_str(unpicklable)}")
            described = {
                "type_name": type_name(type(value)),
                "repr": shorten(value),
                "why": str(unencodable),
            }
            return cls(value=described, stand_in=True)

    @classmethod
    def of_error(cls, error: BaseException) -> Outcome:
        """Encode an exception."""
        return cls(error=ErrorData.from_exception(error))

    def unwrap(self, find_type: FindType = import_type) -> Any:
        """Return the value, or raise the error.

        A stand-in, or a result that cannot be read here, comes back as `PlainData` with the reason ``why``.

        Args:
            find_type: Returns the classes that it names, as for `decode`: `loaded_type` where it came over
                HTTP or from a ledger. A pickle, which comes neither way, has its own.

        Raises:
            ValidationError: The params did not fit.
            ExecutionError: The action failed.
        """
        if self.error is not None:
            raise self.error.to_exception(find_type)
        try:
            if self.pickled is not None:
                return pickle.loads(self.pickled)
            if not self.stand_in:
                return decode(self.value, find_type=find_type)
            described = self.value
        except Exception as unreadable:  # the action succeeded: what cannot be read here is no failure of it
            described = {
                **(self.value if self.pickled is not None and self.value else {"data": self.value}),
                "why": f"it cannot be read here: {type(unreadable).__name__}: {safe_str(unreadable)}",
            }
        return PlainData(described, type_name=described.get("type_name", ""))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types.

        Raises:
            ValueError: The value is a pickle, which never leaves the machine or cluster.
        """
        if self.pickled is not None:
            raise ValueError("a pickled result is not for HTTP or a ledger; encode it with allow_pickle=False")
        return {
            "value": self.value,
            "stand_in": self.stand_in,
            "error": self.error.to_dict() if self.error else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Outcome:
        """Read what `to_dict` wrote."""
        error = data.get("error")
        return cls(
            value=data["value"],
            stand_in=bool(data.get("stand_in")),
            error=ErrorData.from_dict(error) if error else None,
        )
