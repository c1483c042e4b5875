"""Which validator a model gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from synapse_flow.collecting import Validator
from synapse_flow.entries import RecordError
from synapse_flow.validation.dicts import DictValidator
from synapse_flow.validation.sent_model import SentModel
from synapse_flow.validation.unvalidated import NoValidator

__all__ = ["RowValidator", "validator_of"]


class RowValidator(Validator, Protocol):
    """Validates many records at once."""

    def validate(self, raws: Sequence[Any]) -> tuple[list[Any], dict[int, list[RecordError]]]:
        """Return what each record that is valid became, and the errors of the others, by index."""
        ...

    def from_dict(self, row: dict[str, Any], value: Any = None) -> Any:
        """Return what serializes as `row`, which hooks may have changed since it was made of `value`."""
        ...


def validator_of(model: Any) -> RowValidator:
    """Return what validates with `model`: to dicts at once where no instance of it is needed.

    Args:
        model: A pydantic model, or another type that pydantic validates mappings to; a `SentModel`; None for nothing.
    """
    if model is None:
        return NoValidator()
    if isinstance(model, SentModel):
        if model.is_enough:
            return DictValidator(model.schema, model.validate)
        model = model.opened()
    # Only where they are needed: they import all of pydantic, which most workers do without.
    from synapse_flow.validation.dict_schema import dict_schema
    from synapse_flow.validation.instances import InstanceValidator

    if (schema := dict_schema(model)) is None:
        return InstanceValidator(model)
    return DictValidator(schema, model.__pydantic_validator__.validate_python)
