"""A model as it travels to other processes: for many, what pydantic made of it is enough."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import pydantic_core
from pydantic_core import CoreSchema

__all__ = ["SentModel"]


@dataclass(frozen=True)
class SentModel:
    """What validates records to dicts as a model does, without the model, and with pydantic-core alone.

    A worker takes longer to import the rest of pydantic and to make the class anew than to validate 30,000 rows.

    Attributes:
        schema: Of a typed dict, as `dict_schema` makes it.
        version: Of pydantic-core, which alone knows the schema for certain.
        model: The model itself, pickled, for where that is not enough.
    """

    schema: CoreSchema
    version: str
    model: bytes

    @property
    def is_enough(self) -> bool:
        """Whether pydantic-core here is the one that the schema is for."""
        return self.version == pydantic_core.__version__

    def opened(self) -> Any:
        """Return the model."""
        return pickle.loads(self.model)

    def validate(self, raw: Any) -> Any:
        """Validate a record as the model itself does."""
        return self.opened().__pydantic_validator__.validate_python(raw)
