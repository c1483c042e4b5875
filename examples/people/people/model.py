"""What a record of people.csv has to be, and what becomes of it."""

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field


class Person(BaseModel):
    id: int = Field(ge=1)
    name: str = Field(min_length=1, max_length=80)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[a-z]+$")
    age: int = Field(ge=0, le=120)
    city: str = Field(min_length=1)
    balance: Decimal = Field(max_digits=12, decimal_places=2, description="In euros")
    born: date
    active: bool
    group: Literal["adult", "minor"] | None = Field(default=None, description="No column: a hook fills it in")
