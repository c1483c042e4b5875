"""Validation of params, with errors a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synapse_core.errors import FieldProblem, ValidationError, nearest
from synapse_core.field_paths import merge_findings
from synapse_core.redaction import HIDDEN, holds_secret, looks_secret, looks_secret_value, redact
from synapse_core.safe_text import format_traceback, safe_str, shorten
from synapse_core.secret_fields import SecretFields, texts_of

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError as PydanticValidationError

__all__ = ["validate_params"]

_SHORTEST_SECRET = 3  # a PIN has four characters
_MOST_LOOKED_AT = 100_000


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
        problem = FieldProblem("", _shown(params, []), "has to be a mapping of names to values", "dict_type")
        raise ValidationError(_headline(action, 1), problems=[problem], action=action)
    try:
        return model.model_validate(params)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # validators are the user's code, and may even call sys.exit
        failure, cause = _described(error, model, params, action)
    # Outside of the handler, so that a cause that is left out is not the context either.
    raise failure from cause


def _described(
    error: BaseException, model: type[BaseModel], params: Any, action: str
) -> tuple[ValidationError, BaseException | None]:
    """Return the error to raise and its cause; none where a secret may be in it: pydantic repeats what was given."""
    from pydantic import ValidationError as PydanticValidationError

    fields = SecretFields(model)
    secrets = list(fields.texts_in(params))
    if isinstance(error, PydanticValidationError):
        problems = _field_problems(error, model, params, fields, secrets)
    else:  # a validator of the user's that raises something else than ValueError
        rule = _without(f"a validator raised {type(error).__name__}: {safe_str(error)}", secrets)
        problems = [FieldProblem("", None, rule, "validator_error")]
    told = format_traceback(error)
    hidden = any(problem.given == HIDDEN for problem in problems) or _without(told, secrets) != told
    described = ValidationError(_headline(action, len(problems)), problems=problems, action=action)
    return described, None if hidden else error


def _headline(action: str, count: int) -> str:
    return f"params of action {action!r} are not valid ({count} problem{'s' if count != 1 else ''}):"


def _field_problems(
    error: PydanticValidationError, model: type[BaseModel], params: Any, fields: SecretFields, secrets: list[str]
) -> list[FieldProblem]:
    findings = merge_findings(error.errors(include_url=False), params)
    hidden = [
        fields.covers(found.path)
        or any(looks_secret(str(part)) for part in found.path)
        or holds_secret(found.given)
        or fields.are_in(found.given)
        for found in findings
    ]
    for found, secret in zip(findings, hidden, strict=True):
        if secret and not isinstance(found.given, Mapping):  # those of a mapping are known by their names
            secrets.extend(texts_of(found.given))
    problems = []
    for found, secret in zip(findings, hidden, strict=True):
        given = None if found.type == "missing" else HIDDEN if secret else _shown(found.given, secrets)
        rule = found.rule
        if found.type == "extra_forbidden" and len(found.path) == 1 and (hint := _nearest_field(found.path[0], model)):
            rule += f".{hint}"
        problems.append(FieldProblem(_dotted(found.path), given, _without(rule, secrets), found.type))
    return problems


def _nearest_field(name: str | int, model: type[BaseModel]) -> str:
    known = [_accepted(known, field.validation_alias) for known, field in model.model_fields.items()]
    return nearest(str(name), [each for each in known if each != name])


def _accepted(name: str, alias: Any) -> str:
    """Return what a field is given by: its alias, or the first of several."""
    first = next(iter(getattr(alias, "choices", ())), alias)
    return first if isinstance(first, str) else name


def _shown(value: Any, secrets: list[str]) -> str:
    # The whole text is looked at, not the shortened one, in which a secret may be cut off.
    whole = shorten(value, _MOST_LOOKED_AT)
    return HIDDEN if looks_secret_value(whole) or _without(whole, secrets) != whole else shorten(value)


def _without(text: str, secrets: list[str]) -> str:
    """Return `text` without the secrets that were given, also as a validator may have changed them."""
    variants = [form for secret in secrets for form in (secret, secret.lower(), secret.upper())]
    return redact(text, variants, shortest=_SHORTEST_SECRET)


def _dotted(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
