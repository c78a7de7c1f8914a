"""Which parameters of a statement must not be kept, not even in memory?

Those that are bound to a secret column (`Column.info["secret"]`, or `["bearer"]`: who
knows it may do something), and those of which nobody can tell what they are bound to.
Found in the statement that was compiled, so it costs something once for each.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from itertools import chain
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Date,
    DateTime,
    Insert,
    Integer,
    Interval,
    MetaData,
    Numeric,
    Table,
    TextClause,
    Time,
    Update,
)
from sqlalchemy.exc import NoReferenceError
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import DMLWhereBase, ValuesBase
from sqlalchemy.sql.elements import (
    BindParameter,
    BooleanClauseList,
    Cast,
    ClauseElement,
    ColumnClause,
    Grouping,
    Label,
    TypeClause,
)
from sqlalchemy.sql.selectable import (
    AliasedReturnsRows,
    FromGrouping,
    Join,
    SelectBase,
)
from sqlalchemy.types import TypeEngine

logger = logging.getLogger(__name__)

MARKS = ("secret", "bearer")
# Numbers, days and flags that belong to no column: a LIMIT, a factor, a level.
HARMLESS = (Integer, Numeric, Boolean, Date, DateTime, Time, Interval)
# Parts that are looked at one by one; whatever else has a parameter is one thing.
CONTAINERS = (
    SelectBase,
    AliasedReturnsRows,
    FromGrouping,
    Join,
    BooleanClauseList,
    Grouping,
)
KEPT = 2_000
# More parameters than this are loaded, not asked with: not worth a look at each.
MOST = 1_000
_WORD = re.compile(r"\w+")
_MANY = re.compile(r"_m\d+\Z")

# A parameter by itself: SQLAlchemy's way of showing a word.
ALONE = (BindParameter, Label, Cast, TypeClause)

# Nothing of this statement may be kept.
EVERYTHING: frozenset[str] = frozenset({"*"})
NOTHING: frozenset[str] = frozenset()


class Doubt(Enum):
    """What a parameter may have to do with a secret."""

    NONE = 0
    # It is shown: kept where the whole statement has to do with no secret.
    SHOWN = 1
    SECRET = 2

    def __bool__(self) -> bool:
        return self is not Doubt.NONE


Told = Iterator[tuple[BindParameter[Any], Doubt]]


class Secrecy:
    """Knows the secret columns of a project, and finds who is bound to one."""

    def __init__(self, metadata: Iterable[MetaData] = ()) -> None:
        self._metadata = list(metadata)
        self._columns: frozenset[tuple[str, str]] | None = None
        self._names: frozenset[str] = frozenset()
        self._known: dict[str, frozenset[str]] = {}

    def learn(self, metadata: Iterable[MetaData]) -> None:
        """Take the tables of a project in; what was found out before is forgotten."""
        self._metadata += metadata
        self._columns = None
        self._known.clear()

    def withheld(self, compiled: Any) -> frozenset[str]:
        """The driver's names of those that must not be kept; `EVERYTHING` for all."""
        text = compiled.string
        found = self._known.get(text)
        if found is None:
            try:
                found = self._find(compiled)
            except Exception:
                # Whatever a statement is made of, it must not fail for our sake.
                logger.exception("A statement's parameters are not known, nor kept")
                found = EVERYTHING
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[text] = found
        return found

    def _find(self, compiled: Any) -> frozenset[str]:
        statement = compiled.statement
        if not isinstance(compiled, SQLCompiler) or isinstance(statement, TextClause):
            return EVERYTHING  # written by hand, values and all
        binds = compiled.bind_names
        if not binds:
            return NOTHING
        if len(binds) > MOST:
            return EVERYTHING  # rows by the hundred, in one statement
        told = self._told_by_name(compiled, binds)
        secret = {name for name, is_secret in told.items() if is_secret}
        written_out = {binds.get(one) for one in compiled.literal_execute_params}
        if secret & written_out or secret == set(binds.values()):
            return EVERYTHING
        escaped: Mapping[str, str] = compiled.escaped_bind_names or {}
        return frozenset(escaped.get(name, name) for name in secret)

    def _told_by_name(
        self, compiled: Any, binds: Mapping[BindParameter[Any], str]
    ) -> dict[str, bool]:
        """Whether each parameter may be a secret, by its name."""
        statement = compiled.statement
        # Of the ORM's statements the second is what its options have made of them.
        whole = getattr(getattr(compiled, "compile_state", None), "statement", None)
        forms = (statement,) if whole is None else (statement, whole)
        is_clean = all(map(self._is_clean, forms))
        found: dict[str, bool] = {}
        for bind, doubt in chain.from_iterable(map(self._told, forms)):
            name = binds.get(bind)
            if name is not None:
                is_secret = doubt is Doubt.SECRET or (bool(doubt) and not is_clean)
                found[name] = found.get(name, False) or is_secret
        for bind, name in binds.items():
            if getattr(bind, "_is_crud", False):
                is_secret = self._is_assigned(statement, name)
                found[name] = found.get(name, False) or is_secret
            elif name not in found:
                # Of no part that is known: the dialect's own `OFFSET 0`, or any other.
                found[name] = not (is_clean and _is_harmless(bind.type))
        return found

    def _is_clean(self, statement: Any) -> bool:
        """Whether a statement is about tables, and none of them has a secret."""
        parts = list(visitors.iterate(statement))
        tables = [one for one in parts if isinstance(one, Table)]
        columns = [column for table in tables for column in table.columns]
        return bool(tables) and not any(map(self.is_secret, (*parts, *columns)))

    def _told(self, element: Any) -> Told:
        """Each parameter below an element, and what it may have to do with a secret."""
        if isinstance(element, ValuesBase):
            yield from self._told_of_values(element)
        if isinstance(element, DMLWhereBase):
            for condition in element._where_criteria:  # noqa: SLF001 - it has no name
                yield from self._told(condition)
        if isinstance(element, CONTAINERS):
            shown = set(map(id, getattr(element, "_raw_columns", ())))
            for part in element.get_children():
                for bind, doubt in self._told(part):
                    # What is shown of a subquery may be compared outside of it.
                    is_shown = id(part) in shown and doubt is Doubt.NONE
                    yield bind, Doubt.SHOWN if is_shown else doubt
        elif not isinstance(element, ValuesBase | DMLWhereBase):
            yield from self._told_at_once(element)

    def _told_of_values(self, statement: ValuesBase) -> Told:
        """The parameters in what columns are set to."""
        if isinstance(statement, Insert) and statement.select is not None:
            names: list[Any] = list(statement._select_names or ())  # noqa: SLF001
            is_secret = any(self._is_named(statement, name) for name in names)
            for bind, doubt in self._told(statement.select):
                yield bind, Doubt.SECRET if is_secret else doubt
        pairs = dict(statement._values or {})  # noqa: SLF001
        for target, value in pairs.items():
            is_secret = self._is_named(statement, target)
            for bind, doubt in self._told_of_value(value):
                yield bind, Doubt.SECRET if is_secret else doubt

    def _told_of_value(self, value: Any) -> Told:
        """Those of an expression: all are secret where one column of it is."""
        if not isinstance(value, ClauseElement):
            return
        inside = list(visitors.iterate(value))
        is_secret = any(self.is_secret(one) for one in inside)
        texts = [one for one in inside if isinstance(one, TextClause)]
        by_hand = {bind for text in texts for bind in text._bindparams.values()}  # noqa: SLF001
        for one in inside:
            if isinstance(one, BindParameter):
                is_doubtful = is_secret or one in by_hand
                yield one, Doubt.SECRET if is_doubtful else Doubt.NONE

    def _told_at_once(self, element: Any) -> Told:
        """The parameters of one condition or expression."""
        inside = list(visitors.iterate(element))
        has_column = any(isinstance(one, ColumnClause) for one in inside)
        is_alone = all(isinstance(one, ALONE) for one in inside)
        for bind, doubt in self._told_of_value(element):
            if doubt is Doubt.SECRET or has_column or _is_harmless(bind.type):
                yield bind, doubt
            else:
                # Of no column at all: a word that is shown, or who knows what.
                yield bind, Doubt.SHOWN if is_alone else Doubt.SECRET

    def _is_assigned(self, statement: Any, name: str) -> bool:
        """Whether an INSERT or UPDATE sets a secret column to this parameter."""
        if not isinstance(statement, Insert | Update):
            return True
        columns = statement.table.c
        if name not in columns:
            name = _MANY.sub("", name)
        return name not in columns or self.is_secret(columns[name])

    def _is_named(self, statement: ValuesBase, target: Any) -> bool:
        """Whether what is set, a column or its name, is secret; so is what is not."""
        if isinstance(target, str):
            columns = statement.table.c
            return target not in columns or self.is_secret(columns[target])
        return not isinstance(target, ColumnClause) or self.is_secret(target)

    def is_secret(self, element: Any) -> bool:
        """Whether a part of a statement is a secret column, or speaks of one."""
        if isinstance(element, TextClause):
            return self._speaks_of_secret(element.text)
        if not isinstance(element, ColumnClause):
            return False
        if element.is_literal:
            return self._speaks_of_secret(element.name)
        for base in element.base_columns:
            if isinstance(base, Column) and isinstance(base.table, Table):
                if self._is_marked(base):
                    return True
            elif isinstance(base, ColumnClause):
                table = getattr(base.table, "name", "")
                if (table, base.name) in self.columns or base.name in self._names:
                    return True
            elif any(
                one is not base and self.is_secret(one)
                for one in visitors.iterate(base)
            ):
                return True
        return False

    def _is_marked(self, column: Column[Any]) -> bool:
        return is_marked(column) or (column.table.name, column.name) in self.columns

    def _speaks_of_secret(self, text: str) -> bool:
        """Whether a text names a secret column, or a table that has one."""
        words = set(_WORD.findall(text))
        tables = {table for table, _ in self.columns}
        return not words.isdisjoint(self._names) or not words.isdisjoint(tables)

    @property
    def columns(self) -> frozenset[tuple[str, str]]:
        """Table and column of everything that is secret."""
        if self._columns is None:
            tables = [table for one in self._metadata for table in one.tables.values()]
            found = {
                (table.name, column.name)
                for table in tables
                for column in table.columns
                if is_marked(column)
            }
            others = {
                column.name
                for table in tables
                for column in table.columns
                if not is_marked(column)
            }
            # Where a column stands alone, its name tells only if no other has it.
            self._names = frozenset(name for _, name in found) - others
            self._columns = frozenset(found)
        return self._columns


def is_marked(column: Column[Any]) -> bool:
    """Whether a column is secret by its own mark, or refers to one that is."""
    if any(column.info.get(mark) for mark in MARKS):
        return True
    for key in column.foreign_keys:
        # What it refers to may stand in no model of the project.
        with suppress(NoReferenceError):
            if key.column is not column and is_marked(key.column):
                return True
    return False


def _is_harmless(kind: TypeEngine[Any]) -> bool:
    if isinstance(kind, ARRAY):
        return isinstance(kind.item_type, HARMLESS)
    return isinstance(kind, HARMLESS)
