"""How is a Python value written in the text format of PostgreSQL's COPY?

Rows are turned column by column, which is several times faster in Python than value
by value: one decision for a block of a column, then `map` does the rest.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

NULL = "\\N"
SPECIAL = re.compile(r"[\\\t\n\r]")
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

# A value that comes again is looked up and not written again; past this many
# different ones the memory is given back.
REMEMBERED = 100_000


class Remembered(dict[Any, str]):
    """The texts of values that come again and again: marks, days, missing ones."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__({None: NULL})
        self._write = write

    def __missing__(self, value: Any) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
            self[None] = NULL
        text = self[value] = self._write(value)
        return text


class TextFormat:
    """Writes blocks of rows; remembers what comes again from block to block."""

    def __init__(self) -> None:
        self._numbers = Remembered(str)
        self._days = Remembered(date.isoformat)
        self._times = Remembered(datetime.isoformat)

    def encode(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """The rows as COPY reads them, a line each.

        Raises:
            TypeError: a value is of a kind that cannot be written.
        """
        columns = [self._texts(values) for values in zip(*rows, strict=True)]
        lines = "\n".join(map("\t".join, zip(*columns, strict=True)))
        return f"{lines}\n".encode()

    def _texts(self, values: tuple[Any, ...]) -> Iterable[str]:
        """The texts of one column's values."""
        kinds = set(map(type, values))
        if kinds == {int}:
            return map(str, values)
        if kinds == {str}:
            return (
                values if SPECIAL.search("".join(values)) is None else _escape(values)
            )
        has_missing = type(None) in kinds
        kinds.discard(type(None))
        if not kinds:
            return [NULL] * len(values)
        if len(kinds) > 1:
            return [self._text(value) for value in values]
        kind = kinds.pop()
        known = {int: self._numbers, date: self._days, datetime: self._times}.get(kind)
        if known is not None:
            return map(known.__getitem__, values)
        if kind is str and has_missing:
            return [NULL if v is None else v.translate(ESCAPES) for v in values]
        return [self._text(value) for value in values]

    def _text(self, value: Any) -> str:
        """One value's text."""
        match value:
            case None:
                return NULL
            case bool():
                return "t" if value else "f"
            case str():
                return str(value).translate(ESCAPES)
            case int() | float() | Decimal() | UUID():
                return str(value)
            case datetime() | date() | time():
                return value.isoformat()
            case bytes():
                return rf"\\x{value.hex()}"
            case dict() | list():
                return json.dumps(value, ensure_ascii=False).translate(ESCAPES)
        raise TypeError(f"COPY cannot write a {type(value).__name__}: {value!r}.")


def _escape(values: Sequence[str]) -> list[str]:
    """Texts whose backslashes, tabs and line ends COPY takes as they are."""
    return [value.translate(ESCAPES) for value in values]
