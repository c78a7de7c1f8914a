"""What a check constraint demands of each column, where that can be read.

Only simple conditions are understood: comparisons of a column (or its length) with a
literal or another column, BETWEEN, IN, LIKE, IS NULL, joined by AND; `x IS NULL OR …`
is `…` for values that are there; and the same as PostgreSQL stores it, with its casts,
`= ANY (ARRAY[…])` and `~~`. Everything else is left to the database alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import CheckConstraint, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

Literal = Decimal | str | bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison that every row passes.

    `operator` is one of `< <= > >= = <> in like`; `other` is a literal, a column's name
    as `Name`, or a tuple of literals for `in`.
    """

    column: str
    operator: str
    other: "Literal | Name | tuple[Literal, ...]"
    is_length: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A column's name."""

    text: str


@lru_cache(maxsize=1024)
def conditions_of(check: CheckConstraint) -> tuple[Condition, ...]:
    """What the constraint demands; nothing where it says more than is understood."""
    tokens = _tokens(condition_text(check))
    if tokens is None:
        return ()
    try:
        return _Reader(tokens).whole()
    except _NotSimple:
        return ()


def table_conditions(table: Table) -> Iterator[Condition]:
    """What all check constraints of a table demand."""
    for check in sorted(checks_of(table), key=lambda check: str(check.name)):
        yield from conditions_of(check)


def checks_of(table: Table) -> list[CheckConstraint]:
    """The check constraints of a table, those of its columns among them."""
    return [
        constraint
        for part in (table, *table.columns)
        for constraint in part.constraints
        if isinstance(constraint, CheckConstraint)
    ]


def table_of(check: CheckConstraint) -> Table | None:
    """The table that a check constraint belongs to, be it by a column."""
    parent: Any = check.parent
    return parent if isinstance(parent, Table) else getattr(parent, "table", None)


@lru_cache(maxsize=1024)
def condition_text(check: CheckConstraint) -> str:
    """The constraint's condition as SQL."""
    try:
        return str(
            check.sqltext.compile(
                # Of the usual style of parameters every percent sign comes out twice.
                dialect=postgresql.dialect(paramstyle="named"),  # type: ignore[no-untyped-call]
                compile_kwargs={"literal_binds": True},
            )
        )
    except (SQLAlchemyError, NotImplementedError):
        return str(check.sqltext)


def columns_of(check: CheckConstraint, table: Table) -> list[str]:
    """The names of the table's columns that the condition mentions, in its order."""
    mentioned = [
        token.value
        for token in _tokens(condition_text(check)) or ()
        if token.kind == "name"
    ]
    names = {name.lower(): name for name in table.columns.keys()}  # noqa: SIM118 - names, not columns
    found = [names[str(n).lower()] for n in mentioned if str(n).lower() in names]
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # name, word, literal, mark
    value: Any


class _NotSimple(Exception):
    """The condition is none of those that are understood."""


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<text>'(?:[^']|'')*')
    | "(?P<quoted>(?:[^"]|"")+)"
    | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
    | (?P<mark><=|>=|<>|!=|::|[-+*/%<>=(),.\[\]|&~^:])
    )""",
    re.VERBOSE,
)
_WORDS = frozenset(
    {"and", "or", "not", "is", "null", "between", "in", "like", "ilike", "true"}
    | {"false", "cast", "as", "case", "when", "then", "else", "end", "any", "array"}
    | {"date", "timestamp"}
)


def _tokens(text: str) -> list[_Token] | None:
    tokens = []
    position = 0
    text = text.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            return None
        position = found.end()
        tokens.append(_token(found))
    return tokens


def _token(found: "re.Match[str]") -> _Token:
    if found["number"]:
        return _Token("literal", Decimal(found["number"]))
    if found["text"]:
        return _Token("literal", found["text"][1:-1].replace("''", "'"))
    if found["quoted"]:
        return _Token("name", found["quoted"].replace('""', '"'))
    if found["word"]:
        word = found["word"]
        is_word = word.lower() in _WORDS
        return _Token("word", word.lower()) if is_word else _Token("name", word)
    return _Token("mark", found["mark"])


_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_LENGTHS = frozenset({"length", "char_length", "character_length"})


@dataclass(slots=True)
class _Reader:
    """A reader of one condition, from left to right."""

    tokens: list[_Token]
    position: int = 0

    def whole(self) -> tuple[Condition, ...]:
        found = self.any_of()
        if self.position != len(self.tokens):
            raise _NotSimple
        return tuple(c for c in found if isinstance(c, Condition))

    def any_of(self) -> list[Any]:
        """Conditions joined by OR: all but one say that a column is NULL."""
        sides = [self.all_of()]
        while self.take("word", "or"):
            sides.append(self.all_of())
        if len(sides) == 1:
            return sides[0]
        real = [side for side in sides if not all(isinstance(c, Name) for c in side)]
        is_optional = len(real) < len(sides)
        if len(real) > 1:
            real = [[_one_of(real)]]
        null = {name for side in sides for name in side if isinstance(name, Name)}
        needed = {c.column for side in real for c in side if isinstance(c, Condition)}
        # `y IS NULL OR x > 0` says nothing about x alone.
        if is_optional and {name.text for name in null} != needed:
            raise _NotSimple
        return real[0] if real else []

    def all_of(self) -> list[Any]:
        found = list(self.one())
        while self.take("word", "and"):
            found += self.one()
        return found

    def one(self) -> list[Any]:
        """One comparison, or a condition in brackets."""
        start = self.position
        if self.take("mark", "("):
            try:
                inner = self.any_of()
                self.need("mark", ")")
                # `(a) > 0` is a comparison that only began like a bracket.
                if self.peek().kind != "mark" or self.peek().value == ")":
                    return inner
            except _NotSimple:
                pass
            self.position = start
        return self.comparison()

    def comparison(self) -> list[Any]:
        left, is_length = self.operand()
        if self.take("word", "is"):
            is_not = self.take("word", "not")
            self.need("word", "null")
            # `x IS NOT NULL` demands what nullability says elsewhere.
            return [] if is_not else [left]
        if self.take("word", "between"):
            low, _ = self.operand()
            self.need("word", "and")
            high, _ = self.operand()
            return [
                _condition(left, ">=", low, is_length=is_length),
                _condition(left, "<=", high, is_length=is_length),
            ]
        if self.take("word", "in"):
            self.need("mark", "(")
            values = [self.literal()]
            while self.take("mark", ","):
                values.append(self.literal())
            self.need("mark", ")")
            return [_condition(left, "in", tuple(values), is_length=is_length)]
        if self.take("word", "like") or self.take_like():
            pattern, _ = self.operand()
            # With a backslash the two databases understand different things.
            if not isinstance(pattern, str) or "\\" in pattern or is_length:
                raise _NotSimple
            return [_condition(left, "like", pattern, is_length=False)]
        operator = {"!=": "<>"}.get(self.peek().value, self.peek().value)
        if self.peek().kind != "mark" or operator not in _FLIPPED:
            raise _NotSimple
        self.position += 1
        if operator == "=" and self.take("word", "any"):
            return [_condition(left, "in", self.array(), is_length=is_length)]
        right, is_right_length = self.operand()
        if isinstance(left, Name):
            if is_right_length:
                raise _NotSimple
            return [_condition(left, operator, right, is_length=is_length)]
        return [_condition(right, _FLIPPED[operator], left, is_length=is_right_length)]

    def operand(self) -> tuple[Any, bool]:
        """A column, a column's length, or a literal; casts are looked through."""
        if self.take("mark", "("):
            found = self.operand()
            self.need("mark", ")")
            return self.without_cast(found)
        if self.take("word", "cast"):
            self.need("mark", "(")
            found = self.operand()
            self.need("word", "as")
            while self.peek().value != ")":
                self.position += 1
            self.need("mark", ")")
            return found
        token = self.peek()
        if token.kind != "name":
            return self.without_cast((self.literal(), False))
        self.position += 1
        if self.take("mark", "("):
            if str(token.value).lower() not in _LENGTHS:
                raise _NotSimple
            name, _ = self.operand()
            self.need("mark", ")")
            return self.without_cast((name, True))
        while self.take("mark", "."):
            token = self.peek()
            if token.kind != "name":
                raise _NotSimple
            self.position += 1
        return self.without_cast((Name(str(token.value)), False))

    def take_like(self) -> bool:
        """Whether `~~` comes; `~` alone is a regular expression."""
        if not self.take("mark", "~"):
            return False
        self.need("mark", "~")
        return True

    def array(self) -> tuple[Literal, ...]:
        """The literals of `(ARRAY['a', 'b'])`, in as many brackets as there are."""
        self.need("mark", "(")
        if self.peek().value == "(":
            found = self.array()
        else:
            self.need("word", "array")
            self.need("mark", "[")
            values = [self.operand()[0]]
            while self.take("mark", ","):
                values.append(self.operand()[0])
            self.need("mark", "]")
            if any(isinstance(value, Name) for value in values):
                raise _NotSimple
            found = tuple(values)
        self.without_cast((found, False))
        self.need("mark", ")")
        self.without_cast((found, False))
        return found

    def without_cast(self, found: tuple[Any, bool]) -> tuple[Any, bool]:
        while self.take("mark", "::"):
            if self.peek().kind not in ("name", "word"):
                raise _NotSimple
            self.position += 1
            while self.peek().kind == "name":  # character varying, double precision
                self.position += 1
            if self.take("mark", "("):
                while not self.take("mark", ")"):
                    self.peek()
                    self.position += 1
            while self.peek().kind == "name":  # timestamp(3) with time zone
                self.position += 1
            if self.take("mark", "["):
                self.need("mark", "]")
        return found

    def literal(self) -> Literal:
        is_negative = self.take("mark", "-")
        token = self.peek()
        self.position += 1
        if token.kind == "literal":
            if is_negative and isinstance(token.value, Decimal):
                return -token.value
            if not is_negative:
                value: Literal = token.value
                return value
        if token.kind == "word" and not is_negative:
            if token.value in ("true", "false"):
                return bool(token.value == "true")
            if token.value in ("date", "timestamp"):
                return self.literal()
        raise _NotSimple

    def peek(self) -> _Token:
        if self.position < len(self.tokens):
            return self.tokens[self.position]
        return _Token("mark", ")") if self.position == len(self.tokens) else _fail()

    def take(self, kind: str, value: str) -> bool:
        if self.position >= len(self.tokens):
            return False
        token = self.tokens[self.position]
        if token.kind == kind and token.value == value:
            self.position += 1
            return True
        return False

    def need(self, kind: str, value: str) -> None:
        if not self.take(kind, value):
            raise _NotSimple


def _fail() -> _Token:
    raise _NotSimple


def _condition(left: Any, operator: str, right: Any, *, is_length: bool) -> Condition:
    if not isinstance(left, Name):
        raise _NotSimple
    return Condition(left.text, operator, right, is_length)


def _one_of(sides: list[list[Any]]) -> Condition:
    """`x = 'a' OR x = 'b'` as `x IN ('a', 'b')`."""
    values = []
    columns = set()
    for side in sides:
        if len(side) != 1 or not isinstance(side[0], Condition):
            raise _NotSimple
        condition = side[0]
        if condition.operator != "=" or isinstance(condition.other, Name | tuple):
            raise _NotSimple
        columns.add(condition.column)
        values.append(condition.other)
    if len(columns) != 1:
        raise _NotSimple
    return Condition(columns.pop(), "in", tuple(values))
