"""The marks of a CSV file, and how its records are told by them."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from synapse_core.errors import ValidationError

__all__ = ["Dialect"]

_LARGEST_FIELD = (1 << 31) - 1
# Before 3.11.5 a possessive group that has to give up gives back too much: https://github.com/python/cpython/issues/106052
_RE_IS_WRONG = sys.version_info < (3, 11, 5)


@dataclass(frozen=True)
class Dialect:
    """How fields are told apart; the arguments of the csv module."""

    delimiter: str = ","
    quotechar: str | None = '"'
    escapechar: str | None = None
    skipinitialspace: bool = False

    @property
    def splits(self) -> bool:
        """Whether all that divides the fields of a line without quotes are its delimiters."""
        return not self.escapechar and not self.skipinitialspace

    def reader(self, lines: Iterable[str], *, strict: bool = False) -> Any:
        """Return a reader of the csv module."""
        if csv.field_size_limit() < _LARGEST_FIELD:
            csv.field_size_limit(_LARGEST_FIELD)  # of the process; 128 KiB would end a run at a long field
        quoting: Any = csv.QUOTE_MINIMAL if self.quotechar else csv.QUOTE_NONE
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quotechar,
            escapechar=self.escapechar,
            skipinitialspace=self.skipinitialspace,
            quoting=quoting,
            strict=strict,
        )

    def check(self) -> None:
        """See that fields can be told apart.

        Raises:
            ValidationError: A mark is no single character, or means two things.
        """
        try:
            self.reader([])
        except (TypeError, ValueError) as error:
            raise ValidationError(
                f"these options make no CSV dialect: {error}, and delimiter is {self.delimiter!r}, quotechar "
                f"{self.quotechar!r}, escapechar {self.escapechar!r}"
            ) from None
        marks = [mark for mark in (self.delimiter, self.quotechar, self.escapechar) if mark]
        if len({*marks, "\n", "\r"}) < len(marks) + 2 or (self.skipinitialspace and " " in marks):
            raise ValidationError(
                f"these options make no CSV dialect: delimiter={self.delimiter!r}, quotechar={self.quotechar!r} and "
                f"escapechar={self.escapechar!r} have to differ from each other, from line ends, and from a space that "
                "skipinitialspace= leaves out"
            )

    def patterns(self, encoding: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]] | None:
        """Return what matches text whose quotes stand around fields of one line, and one record of several lines.

        None where that is not so easy. What neither matches, the csv module is asked about.
        """
        if not self.quotechar or self.escapechar or _RE_IS_WRONG:
            return None
        quote, comma = (re.escape(mark.encode(encoding)) for mark in (self.quotechar, self.delimiter))
        # A "\r" is a line end where something else follows that can be seen; before a "\n" it is half of one.
        end = rb"(?:\r?\n|\r(?=[^\n]))"

        def quoted(other: bytes) -> bytes:
            return rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % (quote, other, quote, quote, other, quote)

        # All else has no quotes, and needs no look at fields: so this is ten times as fast as matching those.
        before, behind = rb"(?:(?<=%b)|(?<![^\r\n]))" % comma, rb"(?=%b|[\r\n])" % comma
        one_line = rb"(?:[^%b]*+%b%b%b)*+[^%b]*+" % (quote, before, quoted(quote + rb"\r\n"), behind, quote)
        any_field = rb"(?:%b|[^%b%b\r\n]*+)" % (quoted(quote), quote, comma)
        return re.compile(one_line), re.compile(rb"%b(?:%b%b)*+%b" % (any_field, comma, any_field, end))
