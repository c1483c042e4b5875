"""What becomes of a table that is there before the run."""

from __future__ import annotations

from synapse_core.errors import ValidationError

__all__ = ["check_mode", "refuse_existing"]

_MODES = ("append", "replace", "create", "fail")


def check_mode(mode: str) -> None:
    """Raise where there is no such mode.

    Raises:
        ValidationError: There is none.
    """
    if mode not in _MODES:
        raise ValidationError(
            f"mode is {mode!r}; it may be 'append' (add rows), 'replace' (put them in the place of those that are "
            "there), or 'create', which is also called 'fail' (there must be no such table yet)"
        )


def refuse_existing(database: str, table: str) -> ValidationError:
    """Return the error for a table that should not have been there."""
    return ValidationError(
        f"{database} has a table {table!r} already; write mode='append' to add to it, or mode='replace' to have new "
        "rows in the place of its own"
    )
