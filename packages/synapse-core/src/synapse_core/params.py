"""Validation of params, with errors a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synapse_core.errors import FieldProblem, ValidationError
from synapse_core.field_paths import merge_findings
from synapse_core.redaction import HIDDEN, holds_secret, looks_secret
from synapse_core.safe_text import safe_str, shorten

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError as PydanticValidationError

__all__ = ["validate_params"]


def validate_params(model: type[BaseModel] | None, params: Any, action: str) -> Any:
    """Return `params` as an instance of `model`, or as a dict where there is no model.

    Raises:
        ValidationError: With one problem per field.
    """
    if params is None:
        params = {}
    if model is None:
        if isinstance(params, Mapping):
            return dict(params)
        if hasattr(params, "model_dump"):
            return params
        problem = FieldProblem("", shorten(params), "has to be a mapping of names to values", "dict_type")
        raise ValidationError(_headline(action, 1), problems=[problem], action=action)
    try:
        return model.model_validate(params)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # validators are the user's code, and may even call sys.exit
        from pydantic import ValidationError as PydanticValidationError

        if isinstance(error, PydanticValidationError):
            problems = _field_problems(error, params)
        else:  # a validator of the user's that raises something else than ValueError
            rule = f"a validator raised {type(error).__name__}: {safe_str(error)}"
            problems = [FieldProblem("", None, rule, "validator_error")]
        # The cause is left out where a secret may be in it: pydantic's text repeats what was given.
        hidden = any(problem.given == HIDDEN for problem in problems)
        raise ValidationError(_headline(action, len(problems)), problems=problems, action=action) from (
            None if hidden else error
        )


def _headline(action: str, count: int) -> str:
    return f"params of action {action!r} are not valid ({count} problem{'s' if count != 1 else ''}):"


def _field_problems(error: PydanticValidationError, params: Any) -> list[FieldProblem]:
    problems = []
    for found in merge_findings(error.errors(include_url=False), params):
        given = None if found.type == "missing" else shorten(found.given)
        if given is not None and (any(looks_secret(str(part)) for part in found.path) or holds_secret(found.given)):
            given = HIDDEN
        problems.append(FieldProblem(_dotted(found.path), given, found.rule, found.type))
    return problems


def _dotted(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
