"""Cuts a stream of bytes into blocks of whole records, and counts them, without parsing what is in them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Generator, Sequence

from synapse_core.errors import ExecutionError, ValidationError
from synapse_flow.chunks import ChunkSizes
from synapse_flow.inputs.base import Block
from synapse_flow.source_file import SourceFile

__all__ = ["RecordCutter", "transcoded"]

_READ = 1 << 18
_SHORT = 16  # records of one line behind each other, from which on lines are looked at rather than records

# Encodings of one byte to a character, in which ASCII stands where it belongs; and UTF-8, which has that property too.
_ASCII_BASED = {"utf-8", "ascii", "latin_1", "iso8859-1"}
_ASCII_PREFIXES = ("iso8859", "cp125", "cp437", "cp85", "cp86", "koi8", "mac-")


def transcoded(encoding: str) -> tuple[str, bool]:
    """Return the encoding of blocks for a file in `encoding`, and whether the file is decoded before it is cut.

    Raises:
        ValidationError: There is no such encoding of text.
    """
    try:
        name = codecs.lookup(encoding).name
        b"a".decode(name, "ignore")
    except (LookupError, ValueError, TypeError):
        raise ValidationError(f"there is no encoding {encoding!r}; common ones are utf-8, latin-1, cp1252") from None
    if name == "utf-8-sig":
        return "utf-8", False
    if name in _ASCII_BASED or (name.startswith(_ASCII_PREFIXES) and _keeps_ascii(name)):
        return name, False
    return "utf-8", True


def _keeps_ascii(name: str) -> bool:
    """Return whether the marks that records are cut by have one byte each, and no second one; some have two quotes."""
    return all(
        (text == chr(byte)) if byte < 128 else text > "\x7f"
        for byte in range(256)
        for text in [bytes([byte]).decode(name, "replace")]
    )


class RecordCutter:
    r"""Reads a file in blocks that end with a record.

    A line is a record where none of the `specials` is near; there, `record_end` is asked. Lines end with ``\n``,
    ``\r\n`` or ``\r``, also in one file.

    Args:
        file: Open.
        record_end: Told the bytes from the beginning of a record on, and whether the file ends with them, it returns
            how many bytes and lines the record has, or None where it goes on behind them.
        specials: Marks that can make a record longer than its line, or hide a line's end.
        harmless: Matches text from the beginning of a line on, in which lines are records all the same.
        record: Matches a record of one or several lines, with its end; where it does not, `record_end` is asked.
        blank: Characters that a line may hold and still be blank, and so no record.
        most: Bytes of the longest record.
        hint: What a record that is longer may come from, for the message.
        transcode: The encoding that is turned into UTF-8 before anything is cut; None for none.
    """

    def __init__(
        self,
        file: SourceFile,
        *,
        record_end: Callable[[bytes, bool], tuple[int, int] | None] | None = None,
        specials: Sequence[bytes] = (),
        harmless: re.Pattern[bytes] | None = None,
        record: re.Pattern[bytes] | None = None,
        blank: bytes = b"",
        most: int = 1 << 28,
        hint: str = "",
        transcode: str | None = None,
    ) -> None:
        self._file = file
        self._record_end = record_end
        self._specials = tuple(specials)
        self._harmless = harmless
        self._record = record
        self._blank = blank
        self._ends_of_blank = [bytes([mark]) + end for mark in blank for end in (b"\n", b"\r")]
        self._most = most
        self._hint = hint
        self._transcode = transcode
        self._decoder = self._new_decoder()
        self._data = b""
        self._at = 0  # in _data
        self._offset = 0  # of _data in the file
        self._line = 1
        self._ended = False
        self._mean = 0.0  # bytes in a record

    def go_to(self, offset: int, line: int) -> None:
        """Go on at an offset, which an earlier block gave."""
        self._file.close()
        self._data, self._at, self._offset, self._line, self._ended = b"", 0, offset, line, False
        if self._transcode is None:
            self._file.open(offset)
            return
        self._file.open()
        self._decoder = self._new_decoder()
        left = offset
        while left > 0 and not self._ended:
            self._fill(1)
            left -= len(self._data)
            self._data = self._data[len(self._data) + left :] if left < 0 else b""

    def skip_mark(self, mark: bytes) -> None:
        """Leave out a byte-order mark."""
        self._fill(len(mark))
        if mark and self._data.startswith(mark):
            self._at = len(mark)

    def peek(self, size: int) -> bytes:
        """Return the next bytes, at most `size`, and leave them where they are."""
        self._fill(size)
        return self._data[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """Return the next bytes, at most `size`, and go on behind them; none at the end."""
        self._fill(1)
        data = self._data[self._at : self._at + size]
        self._at += len(data)
        self._line += self._count(data)[1]
        return data

    def line(self) -> None:
        """Leave out a line."""
        searched = 0
        while (end := self._first_end(self._at + searched)) < 0 and not self._ended:
            searched = max(0, self._left() - 1)
            self._fill(self._left() + 1)
        self._at = end if end >= 0 else len(self._data)
        self._line += 1

    def record(self) -> bytes | None:
        """Return the next record, or blank line, with its end; None at the end."""
        self._fill(1)
        if not self._left():
            return None
        length, _, lines = self._one(0)
        record = self._data[self._at : self._at + length]
        self._at += length
        self._line += lines
        return record

    def blocks(self, sizes: ChunkSizes) -> Generator[Block]:
        """Yield what is left in blocks; the cursor is an offset in the file and a line."""
        while True:
            wanted = self._wanted(sizes)
            self._fill(wanted + 1)  # what follows a "\r" tells whether it is a whole line end
            if not self._left():
                return
            size, count, lines = self._cut(min(wanted, self._left(), self._most), sizes.rows)
            payload = self._data[self._at : self._at + size]
            line = self._line
            self._at += size
            self._line += lines
            if count:
                mean = size / count
                self._mean = mean if not self._mean else 0.7 * self._mean + 0.3 * mean
                yield Block(count, payload, cursor=[self._offset + self._at, self._line], line=line)

    # -- reading --

    def _wanted(self, sizes: ChunkSizes) -> int:
        if not self._mean:
            return min(sizes.most_bytes, 4096)
        return max(1, min(sizes.most_bytes, int(self._mean * sizes.rows)))

    def _left(self) -> int:
        """Return how many bytes have been read and not given out."""
        return len(self._data) - self._at

    def _fill(self, wanted: int) -> None:
        """Have `wanted` bytes that were not given out yet, or all that are left."""
        have = self._left()
        if have >= wanted or self._ended:
            return
        parts = [self._data[self._at :]]
        while have < wanted and not self._ended:
            part = self._read()
            have += len(part)
            parts.append(part)
        self._offset += self._at
        self._data = b"".join(parts)
        self._at = 0

    def _read(self) -> bytes:
        data = self._file.read(_READ)
        self._ended = not data
        if self._decoder is None:
            return data
        try:
            return self._decoder.decode(data, self._ended).encode()
        except UnicodeError as error:  # of some decoders not the kind that tells what and where
            reason = getattr(error, "reason", error)
            raise ExecutionError(
                f"{self._file.name} is not {self._transcode}: {reason} near line {self._line}; name the file's "
                "encoding with encoding="
            ) from error

    def _new_decoder(self) -> codecs.IncrementalDecoder | None:
        return codecs.getincrementaldecoder(self._transcode)() if self._transcode else None

    # -- cutting: sizes and positions count from _at on, which does not change meanwhile but where it is given out --

    def _cut(self, window: int, rows: int) -> tuple[int, int, int]:
        """Return how large a block is, at most `window` if it can be, and how many records and lines it has."""
        size = count = lines = 0
        begin = 0  # of lines that are records each, and are counted together
        marks = [-1] * len(self._specials)
        while size < window:
            harmless = self._harmless_until(marks, size, window)
            if length := self._whole_lines(size, harmless):
                size += length
                continue
            lines_before, found, ends = self._counted(begin, size, rows - count)
            count, lines = count + found, lines + ends
            if count >= rows or (count and harmless >= window):
                return lines_before, count, lines
            length, found, ends = self._matched(size, window, rows - count) or self._one(size)
            if count and size + length > window:
                return lines_before, count, lines
            size, count, lines = size + length, count + found, lines + ends
            if count >= rows:
                return size, count, lines
            begin = size
        size, found, ends = self._counted(begin, size, rows - count)
        return size, count + found, lines + ends

    def _counted(self, begin: int, end: int, rows: int) -> tuple[int, int, int]:
        """Return where lines from `begin` on end, of which at most `rows` are records, and how many there are."""
        data = self._data[self._at + begin : self._at + end]
        found, ends = self._count(data)
        if found <= rows:
            return end, found, ends
        length, found, ends = self._exactly(data, rows)
        return begin + length, found, ends

    def _harmless_until(self, marks: list[int], start: int, window: int) -> int:
        """Return up to where, from `start` on, specials do nothing to lines; `marks` keeps where the next ones are."""
        special = self._next_special(marks, start, window)
        if self._harmless is None or special >= window:
            return special
        found = self._harmless.match(self._data, self._at + start, self._at + window)
        return max(special, found.end() - self._at) if found else special

    def _matched(self, start: int, window: int, rows: int) -> tuple[int, int, int] | None:
        """Return the size of records from `start` on, most of several lines, how many they are, and their lines.

        None where the first one cannot be matched.
        """
        if self._record is None or start >= window:
            return None
        data, match = self._data, self._record.match
        first = at = self._at + start
        last = self._at + window
        count = short = 0
        while count < rows and short < _SHORT and (found := match(data, at, last)):
            end = found.end()
            count += end - at > 2 or data[at] not in b"\r\n"
            short = short + 1 if data.find(b"\n", at, end - 1) < 0 else 0
            at = end
        return (at - first, count, self._count(data[first:at])[1]) if at > first else None

    def _next_special(self, marks: list[int], start: int, end: int) -> int:
        """Return where the next special is, and `end` where none is; `marks` keeps what was found for each."""
        for number, mark in enumerate(self._specials):
            if marks[number] < start:
                at = self._data.find(mark, self._at + start, self._at + end)
                marks[number] = end if at < 0 else at - self._at
        return min(marks, default=end)

    def _whole_lines(self, start: int, end: int) -> int:
        """Return how many bytes from `start` to `end` are whole lines."""
        first, last = self._at + start, self._at + end
        found = self._data.rfind(b"\n", first, last) + 1
        if found:
            return found - first
        found = self._data.rfind(b"\r", first, last) + 1
        following = self._data[last : last + 1]
        if found == last and found > first and (following == b"\n" or not (following or self._ended)):
            found = self._data.rfind(b"\r", first, last - 1) + 1
        return max(0, found - first)  # without a "\r" that may be half of a line end

    def _first_end(self, at: int) -> int:
        """Return where in the data the line ends that holds `at`; -1 where that has not been read yet."""
        feed = self._data.find(b"\n", at)
        back = self._data.find(b"\r", at, feed if feed >= 0 else len(self._data))
        if back < 0 or back + 1 == feed:
            return feed + 1 if feed >= 0 else -1
        return back + 1 if back + 1 < len(self._data) or self._ended else -1

    def _exactly(self, data: bytes, rows: int) -> tuple[int, int, int]:
        """Return the size of the first `rows` records of lines, of which some are blank."""
        size = count = lines = 0
        for line in data.splitlines(keepends=True):
            if count == rows:
                break
            size += len(line)
            lines += 1
            count += not self._is_blank(line)
        return size, count, lines

    def _one(self, begin: int) -> tuple[int, int, int]:
        """Return the size of the record at `begin`, 1, or 0 where it is blank, and its lines; reads as far as it goes.

        Raises:
            ExecutionError: It is too long.
        """
        searched = begin
        while True:
            start = self._at + begin
            end = self._first_end(self._at + searched)
            final = self._ended and end < 0
            if end >= 0 or final:
                record = self._data[start:end] if end >= 0 else self._data[start:]
                found = self._record_end(record, final) if self._record_end else (len(record), 1)
                if found is not None:
                    length, lines = found
                    self._check_length(start, length)
                    return length, not self._is_blank(record[:length]), lines
                known = len(record)
                searched = begin + 2 * known  # or a record of many lines would be looked at once for each
            else:
                known = len(self._data) - start
                searched = max(begin, self._left() - 1)  # the last byte may be the first half of a line end
            self._check_length(start, known)
            if searched + 1 >= self._left():
                self._fill(max(searched + 2, 2 * self._left()))

    def _check_length(self, start: int, length: int) -> None:
        if length > self._most:
            line = self._line + self._count(self._data[self._at : start])[1]
            raise ExecutionError(
                f"{self._file.name}: the record that begins in line {line} is longer than {self._most:,} bytes; "
                f"{self._hint}if it is meant so, raise max_record_bytes="
            )

    # -- counting --

    def _is_blank(self, line: bytes) -> bool:
        return not line.strip(b"\r\n" + self._blank)

    def _count(self, data: bytes) -> tuple[int, int]:
        """Return how many of these lines are records, and how many line ends there are."""
        ends = data.count(b"\n")
        blank = data[:1] in (b"\n", b"\r") or b"\n\n" in data
        if b"\r" in data:
            ends += data.count(b"\r") - data.count(b"\r\n")
            blank = blank or b"\n\r" in data or b"\r\r" in data
        if blank or any(end in data for end in self._ends_of_blank):
            return sum(1 for line in data.splitlines() if line.strip(self._blank)), ends
        return ends, ends
