"""Which columns does a condition of a plan look at, and how?

The server writes conditions fully bracketed; what is not one of the shapes known here
is left alone, and no advice is made of it.
"""

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Test(StrEnum):
    """How a column is looked at, in the order in which a B-tree wants them."""

    EQUAL = "equal"
    START = "start"  # LIKE 'x%'
    RANGE = "range"
    CONTAINS = "contains"
    WORDS = "words"
    # The column stands inside of an expression, which an index on it does not have.
    WRAPPED = "wrapped"
    OTHER = "other"


PLAIN = frozenset({Test.EQUAL, Test.START, Test.RANGE})


@dataclass(frozen=True, slots=True)
class Looked:
    """One condition on one column.

    `is_lowered` where it is `lower(column)` that is looked at; `is_constant` where it
    is compared with a value, and not with what another table has.
    """

    column: str
    test: Test
    is_lowered: bool = False
    is_constant: bool = True


_COLUMN = (
    r'\(*(?P<lower>lower\()?\(*(?:(?:\w+|"[^"]+")\.)?'
    r'(?P<column>[A-Za-z_]\w*|"[^"]+")\)*'
)
_CAST = r"(?P<cast>::[\w ]+(?:\(\?\))?)?\)*(?:::[\w ]+)?"
_SHAPES: tuple[tuple[Test, re.Pattern[str]], ...] = (
    (Test.WORDS, re.compile(r"^.*@@.*$", re.DOTALL)),
    (Test.CONTAINS, re.compile(rf"^{_COLUMN}{_CAST} ~~\*? '%")),
    (Test.START, re.compile(rf"^{_COLUMN}{_CAST} ~~ '…%")),
    (
        Test.EQUAL,
        re.compile(
            rf"^{_COLUMN}{_CAST} (?:= (?!ANY \(ARRAY)|IS NULL|= ANY \('|= ANY \(\$)"
        ),
    ),
    (Test.RANGE, re.compile(rf"^{_COLUMN}{_CAST} (?:<|>)=? ")),
    (Test.EQUAL, re.compile(rf"^(?:\(NOT )?{_COLUMN}$")),
    (
        Test.EQUAL,
        re.compile(
            r'^\(*[\w.()":\s]+ = (?:(?:\w+|"[^"]+")\.)?(?P<column>\w+|"[^"]+")$'
        ),
    ),
)
_LEFT = re.compile(rf"^{_COLUMN}{_CAST} ")
_NAMES = re.compile(r'(?:(?:\w+|"[^"]+")\.)?([A-Za-z_]\w*|"[^"]+")')
_QUALIFIED = re.compile(r'(?<![\w.)])(?:\w+|"[^"]+")\.(?:\w+|"[^"]+")')
# A text is a text: to cast one kind to another costs no index.
_TEXTS = ("character", "text", "name", "citext")
_COMPARES = re.compile(r" (?:=|<=?|>=?|~~\*?|BETWEEN) ")
# An expression of these is not one that could be said otherwise.
_NEGATED = re.compile(r" <> |!~~|\bNOT\b|\b(?:Sub|Init)Plan\b|IS NOT NULL")


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
    """The columns that a condition tests, each once; only those in `columns`.

    Where that is a mapping it has their types: of a cast it is known then whether it
    keeps an index from being used.
    """
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


def either_of(condition: str, columns: Container[str]) -> list[Looked]:
    """What an OR over several columns tests, if an index serves each side of it.

    An AND around it only makes it narrower.
    """
    for part in parts(condition):
        either = parts(part, " OR ")
        tests = [_looked(one, columns) for one in either]
        known = [one for one in tests if one is not None and one.test in PLAIN]
        if len(known) == len(either) and len({one.column for one in known}) > 1:
            return list(dict.fromkeys(known))
    return []


def is_understood(condition: str, columns: Container[str]) -> bool:
    """Whether every part of it is one that an index on a column serves."""
    for part in parts(condition):
        tests = [_looked(one, columns) for one in parts(part, " OR ")]
        if any(one is None or one.test not in PLAIN for one in tests):
            return False
    return True


def _looked(part: str, columns: Container[str]) -> Looked | None:
    for test, shape in _SHAPES:
        match = shape.match(part)
        if match is None:
            continue
        if test is Test.WORDS:
            names = list(_columns(part, columns))
            return Looked(names[0], test) if names else None
        name = match.group("column").strip('"')
        if name not in columns:
            continue
        is_cast = bool(match.groupdict().get("cast"))
        if is_cast and test in PLAIN and not _is_text(name, columns):
            return Looked(name, Test.WRAPPED)
        is_constant = len(_QUALIFIED.findall(part)) <= 1
        is_lowered = bool(match.groupdict().get("lower"))
        return Looked(name, test, is_lowered, is_constant)
    names = list(_columns(part, columns))
    if names and _COMPARES.search(part) and not _NEGATED.search(part):
        left = _LEFT.match(part)
        if left is None or left.group("column").strip('"') not in columns:
            return Looked(names[0], Test.WRAPPED)
    return None


def _is_text(name: str, columns: Container[str]) -> bool:
    """Whether a column is a text; true where its type is not known."""
    if not isinstance(columns, Mapping):
        return True
    return str(columns[name]).startswith(_TEXTS)


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
