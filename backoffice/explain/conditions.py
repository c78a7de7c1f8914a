"""Which columns does a condition of a plan look at, and how?

The server writes conditions fully bracketed; what is not one of the shapes known here
is left alone, and no advice is made of it.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Test(StrEnum):
    """How a column is looked at, in the order in which a B-tree wants them."""

    EQUAL = "equal"
    START = "start"  # text LIKE 'x%' on lower(column)
    RANGE = "range"
    CONTAINS = "contains"
    WORDS = "words"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Looked:
    """One condition on one column."""

    column: str
    test: Test


_COLUMN = r'\(*(?:lower\()?\(*(?:(?:\w+|"[^"]+")\.)?(?P<column>[A-Za-z_]\w*|"[^"]+")\)*'
_CAST = r"(?:::[\w ]+(?:\(\?\))?)?\)*(?:::[\w ]+)?"
_SHAPES: tuple[tuple[Test, re.Pattern[str]], ...] = (
    (Test.WORDS, re.compile(r"^.*@@.*$", re.DOTALL)),
    (Test.CONTAINS, re.compile(rf"^{_COLUMN}{_CAST} ~~\*? '%")),
    (Test.START, re.compile(rf"^\(*lower\({_COLUMN}{_CAST} ~~ '…%")),
    (
        Test.EQUAL,
        re.compile(
            rf"^{_COLUMN}{_CAST} (?:= (?!ANY \(ARRAY)|IS NULL|= ANY \('|= ANY \(\$)"
        ),
    ),
    (Test.RANGE, re.compile(rf"^{_COLUMN}{_CAST} (?:<|>)=? ")),
    (Test.EQUAL, re.compile(rf"^(?:\(NOT )?{_COLUMN}$")),
)
_NAMES = re.compile(r'(?:(?:\w+|"[^"]+")\.)?([A-Za-z_]\w*|"[^"]+")')


def parts(condition: str, word: str = " AND ") -> list[str]:
    """The conditions that are joined by AND, or another word, outside of brackets."""
    text = _bare(condition.strip())
    found, depth, start, at = [], 0, 0, 0
    while at < len(text):
        letter = text[at]
        if letter == "'":
            end = text.find("'", at + 1)
            at = end if end > 0 else len(text)
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif depth == 0 and text.startswith(word, at):
            found.append(text[start:at])
            at += len(word)
            start = at
            continue
        at += 1
    return [_bare(part.strip()) for part in [*found, text[start:]]]


def looked_at(condition: str, columns: Container[str]) -> list[Looked]:
    """The columns that a condition tests, each once; only those in `columns`."""
    found: dict[str, Looked] = {}
    for part in parts(condition):
        either = parts(part, " OR ")
        tests = [_looked(one, columns) for one in either]
        known = [one for one in tests if one is not None]
        names = {one.column for one in known}
        if len(either) > 1 and (len(known) < len(either) or len(names) > 1):
            # An OR over columns: each of them would need an index of its own.
            for name in _columns(part, columns):
                found.setdefault(name, Looked(name, Test.OTHER))
            for one in known:
                if one.test in (Test.CONTAINS, Test.WORDS):
                    found[one.column] = one
            continue
        for one in known:
            found.setdefault(one.column, one)
    return list(found.values())


def _looked(part: str, columns: Container[str]) -> Looked | None:
    for test, shape in _SHAPES:
        match = shape.match(part)
        if match is None:
            continue
        if test is Test.WORDS:
            names = list(_columns(part, columns))
            return Looked(names[0], test) if names else None
        name = match.group("column").strip('"')
        if name in columns:
            return Looked(name, test)
    return None


def columns_in(condition: str, columns: Container[str]) -> list[str]:
    """Every column that a condition names, each once."""
    return list(dict.fromkeys(_columns(condition, columns)))


def _columns(text: str, columns: Container[str]) -> Iterator[str]:
    for match in _NAMES.finditer(text):
        name = match.group(1).strip('"')
        if name in columns:
            yield name


def _bare(text: str) -> str:
    """Without brackets around the whole."""
    while text.startswith("(") and text.endswith(")"):
        depth = 0
        for at, letter in enumerate(text):
            depth += (letter == "(") - (letter == ")")
            if depth == 0 and at < len(text) - 1:
                return text
        text = text[1:-1].strip()
    return text
