"""`generate`: write a CSV file of people, as large as one likes, with some records that are wrong."""

import csv
import random
import unicodedata
from bisect import bisect_left
from datetime import date, timedelta
from pathlib import Path

from pydantic import BaseModel, Field
from synapse_core import BaseAction

from people.names import CITIES, DOMAINS, FIRST_NAMES, LAST_NAMES, TITLES

COLUMNS = ["id", "name", "email", "age", "city", "balance", "born", "active"]
TODAY = date(2026, 1, 1)
ROWS_AT_ONCE = 10_000

WITHOUT_MARKS = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "Ł": "L"})  # letters that NFKD leaves whole


class GenerateParams(BaseModel):
    rows: int = Field(default=1_000_000, ge=0)
    bad: float = Field(default=0.01, ge=0, le=1, description="Share of records that the model refuses")
    seed: int = Field(default=1, description="Equal seeds give equal files")
    file: Path = Path("artifacts/people/people.csv")


class GenerateResult(BaseModel):
    file: Path
    rows: int
    bad: int


class GenerateAction(BaseAction[GenerateParams, GenerateResult]):
    def execute(self) -> GenerateResult:
        params = self.params
        people = People(params.rows, params.bad, params.seed)
        params.file.parent.mkdir(parents=True, exist_ok=True)
        with params.file.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for start in range(0, params.rows, ROWS_AT_ONCE):
                end = min(start + ROWS_AT_ONCE, params.rows)
                writer.writerows(people.some(start, end))
                self.set_progress(end, params.rows, "generate")
        return GenerateResult(file=params.file, rows=params.rows, bad=len(people.bad))


class People:
    """Rows that look like people, `bad` of which (a share) have something wrong with them.

    Attributes:
        bad: Positions of the rows that the model refuses, in order.
    """

    def __init__(self, rows: int, bad: float, seed: int) -> None:
        self._random = random.Random(seed)
        self.bad = sorted(self._random.sample(range(rows), round(rows * bad)))
        self._names = [
            (f"{first} {last}{title}", f"{_ascii(first)}.{_ascii(last)}", self._random.choice(DOMAINS))
            for first in FIRST_NAMES
            for last in LAST_NAMES
            for title in TITLES
        ]
        days = [(TODAY - timedelta(days=days), str(int(days / 365.25))) for days in range(365 * 95)]
        self._births = [(day.isoformat(), age) for day, age in days]

    def some(self, start: int, end: int) -> list[list[str]]:
        """Return the rows from position `start` up to `end`, which have to be asked for in order."""
        choices, count = self._random.choices, end - start
        columns = zip(
            range(start + 1, end + 1),
            choices(self._names, k=count),
            choices(CITIES, k=count),
            choices(range(-500_000, 10_000_000), k=count),
            choices(self._births, k=count),
            choices(["true", "true", "false", "yes", "0"], k=count),
            strict=True,
        )
        rows = [
            [str(id), name, f"{mailbox}{id}@{domain}", age, city, f"{cents // 100}.{cents % 100:02}", born, active]
            for id, (name, mailbox, domain), city, cents, (born, age), active in columns
        ]
        for position in self.bad[bisect_left(self.bad, start) : bisect_left(self.bad, end)]:
            self._spoil(rows[position - start])
        return rows

    def _spoil(self, row: list[str]) -> None:
        wrong = [
            ("name", ""),
            ("email", row[2].replace("@", " at ")),
            ("age", "unknown"),
            ("age", "240"),
            ("balance", "12,50 €"),
            ("born", "31.02.1990"),
            ("active", "perhaps"),
            ("active", None),
        ]
        column, text = self._random.choice(wrong)
        if text is None:
            row.pop()  # a column is missing
        else:
            row[COLUMNS.index(column)] = text


def _ascii(name: str) -> str:
    """Return a name as it may stand in an e-mail address."""
    plain = unicodedata.normalize("NFKD", name.translate(WITHOUT_MARKS)).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain if letter.isalnum()).lower() or f"u{ord(name[0]):x}"
