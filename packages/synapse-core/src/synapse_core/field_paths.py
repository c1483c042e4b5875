"""Where in the given data pydantic found something, without the names that it adds for branches of unions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Finding", "data_path", "merge_findings"]

# What stands in a location beside fields and positions: 'int', 'list[str]', 'function-after[…]', '[key]'.
_BRANCH = re.compile(
    r"^(?:str|int|float|bool|bytes|none|any|date|datetime|time|timedelta|decimal|uuid|url|path|dict|list|tuple|set"
    r"|frozenset|enum|literal|json|callable|is-instance|is-subclass)$|[\[\]]|^(?:function|lax|json|constrained)-"
)


class Finding:
    """One place in the data and the rules that it breaks.

    Attributes:
        path: Keys and positions from the top.
        given: The value there.
        rules: One sentence per rule; several for a union.
        type: pydantic's name of the first rule.
    """

    __slots__ = ("given", "path", "rules", "type")

    def __init__(self, path: tuple[int | str, ...], given: Any, rule: str, type: str) -> None:
        self.path = path
        self.given = given
        self.rules = [rule]
        self.type = type

    @property
    def rule(self) -> str:
        """All rules as one sentence."""
        first, *others = dict.fromkeys(self.rules)
        return " or ".join([first, *(other.removeprefix("Input should be ") for other in others)])


def data_path(location: tuple[int | str, ...], data: Any, kind: str) -> tuple[int | str, ...]:
    """Return a pydantic location without its branch names, by walking along the data."""
    path: list[int | str] = []
    for index, part in enumerate(location):
        rest = location[index + 1 :]
        if isinstance(part, int):
            path.append(part)
            data = data[part] if isinstance(data, (list, tuple)) and -len(data) <= part < len(data) else None
        elif isinstance(data, Mapping):
            if part in data:
                path.append(part)
                data = data[part]
            elif _is_field(part, rest, data, kind):
                path.append(part)
                data = None
        elif hasattr(data, "model_fields") and hasattr(data, part):
            path.append(part)
            data = getattr(data, part)
        elif data is None and not _BRANCH.search(part):  # we have lost the thread, as with an alias
            path.append(part)
    return tuple(path)


def _is_field(part: str, rest: tuple[int | str, ...], data: Mapping[Any, Any], kind: str) -> bool:
    """Say whether a name that the mapping lacks is a field that is missing, and no branch of a union."""
    if _BRANCH.search(part):
        return False
    if not rest:
        return True
    return not (rest[0] in data or (len(rest) == 1 and kind == "missing"))


def merge_findings(rows: Iterable[Any], data: Any) -> list[Finding]:
    """Return one finding per place for the rows of ``pydantic.ValidationError.errors()``."""
    found: dict[tuple[int | str, ...], Finding] = {}
    for row in rows:
        location = row["loc"]
        rule = row["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")  # a validator's own words
        if location[-1:] == ("[key]",):  # pydantic writes a boolean key, such as YAML's ``yes``, as a number
            path = (*data_path(location[:-2], data, row["type"]), str(row["input"]))
            rule = f"as a key: {rule}"
        else:
            path = data_path(location, data, row["type"])
        if path in found:
            found[path].rules.append(rule)
        else:
            found[path] = Finding(path, row["input"], rule, row["type"])
    return list(found.values())
