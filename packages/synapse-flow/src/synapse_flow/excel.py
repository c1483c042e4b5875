"""What Excel's cells can hold, and how they hold the rest."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

from synapse_core.errors import BackendMissingError
from synapse_flow.cells import cell, cell_text

__all__ = ["LONGEST_TEXT", "MOST_COLUMNS", "MOST_ROWS", "excel_text", "excel_value", "openpyxl", "plain_text"]

MOST_ROWS = 1_048_576
MOST_COLUMNS = 16_384
LONGEST_TEXT = 32_767
_DIGITS = 15  # of a number; further ones become zeros
_FIRST_YEAR = 1900

# Excel writes characters that XML has not, and a "\r", which XML takes for a "\n", as _x000D_; and what looks so, too.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_TO_ESCAPE = re.compile(r"[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def openpyxl() -> Any:
    """Return the package.

    Raises:
        BackendMissingError: It is not installed.
    """
    try:
        return import_module("openpyxl")
    except ImportError:
        raise BackendMissingError(
            "Excel files need the package openpyxl, which is not installed here; "
            "type: pip install 'synapse-flow[excel]'"
        ) from None


def excel_text(text: str) -> str:
    """Return a text as a cell holds it."""
    return _TO_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def plain_text(text: str) -> str:
    """Return the text that a cell holds."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def excel_value(value: Any) -> Any:
    """Return what a cell holds for `value`: a number, a time, a bool or None; text where Excel has nothing of the kind.

    Numbers of more than 15 digits are text, since Excel would change them; so are infinite ones, times with a zone,
    and days before 1900.
    """
    value = cell(value)
    if isinstance(value, str):
        return excel_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**_DIGITS else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() and len(value.as_tuple().digits) <= _DIGITS else str(value)
    if isinstance(value, timedelta):
        return value if value >= timedelta(0) else cell_text(value)
    has_zone = isinstance(value, (datetime, time)) and value.tzinfo is not None
    too_early = isinstance(value, date) and value.year < _FIRST_YEAR
    return value.isoformat() if has_zone or too_early else value
