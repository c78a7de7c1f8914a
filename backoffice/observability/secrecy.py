"""Which parameters of a statement must not be kept, not even in memory?

Those that are bound to a secret column (`Column.info["secret"]`, or `["bearer"]`: who
knows it may do something), and those of which nobody can tell what they are bound to.
Found in the statement that was compiled, so it costs something once for each.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
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
    ClauseElement,
    ColumnClause,
    Grouping,
)
from sqlalchemy.sql.selectable import (
    AliasedReturnsRows,
    FromGrouping,
    Join,
    SelectBase,
)
from sqlalchemy.types import TypeEngine

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
_WORD = re.compile(r"\w+")
_MANY = re.compile(r"_m\d+\Z")

# Nothing of this statement may be kept.
EVERYTHING: frozenset[str] = frozenset({"*"})
NOTHING: frozenset[str] = frozenset()


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
            found = self._find(compiled)
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
        told: dict[str, bool] = {}
        # Of the ORM's statements the second is what its options have made of them.
        whole = getattr(getattr(compiled, "compile_state", None), "statement", None)
        for one in (statement, whole) if whole is not None else (statement,):
            for bind, is_secret in self._told(one):
                name = binds.get(bind)
                if name is not None:
                    told[name] = told.get(name, False) or is_secret
        for bind, name in binds.items():
            if getattr(bind, "_is_crud", False):
                is_secret = self._is_assigned(statement, name)
                told[name] = told.get(name, False) or is_secret
        secret = {name for name in binds.values() if told.get(name, True)}
        written_out = {binds.get(one) for one in compiled.literal_execute_params}
        if secret & written_out or secret == set(binds.values()):
            return EVERYTHING
        escaped: Mapping[str, str] = compiled.escaped_bind_names or {}
        return frozenset(escaped.get(name, name) for name in secret)

    def _told(self, element: Any) -> Iterator[tuple[BindParameter[Any], bool]]:
        """Each parameter below an element, and whether it has to do with a secret."""
        if isinstance(element, ValuesBase):
            yield from self._told_of_values(element)
        if isinstance(element, DMLWhereBase):
            for condition in element._where_criteria:  # noqa: SLF001 - it has no name
                yield from self._told(condition)
        if isinstance(element, CONTAINERS):
            for part in element.get_children():
                yield from self._told(part)
        elif not isinstance(element, ValuesBase | DMLWhereBase):
            yield from self._told_at_once(element)

    def _told_of_values(
        self, statement: ValuesBase
    ) -> Iterator[tuple[BindParameter[Any], bool]]:
        """The parameters in what columns are set to."""
        if isinstance(statement, Insert) and statement.select is not None:
            names: list[Any] = list(statement._select_names or ())  # noqa: SLF001
            is_secret = any(self._is_named(statement, name) for name in names)
            for bind, is_own in self._told(statement.select):
                yield bind, is_secret or is_own
        pairs = dict(statement._values or {})  # noqa: SLF001
        for target, value in pairs.items():
            if isinstance(value, BindParameter):
                yield value, self._is_named(statement, target)
            elif isinstance(value, ClauseElement):
                is_secret = self._is_named(statement, target)
                for bind, is_own in self._told_of_value(value):
                    yield bind, is_secret or is_own

    def _told_of_value(
        self, value: ClauseElement
    ) -> Iterator[tuple[BindParameter[Any], bool]]:
        """Those of an expression that a column is set to: they belong to it."""
        inside = list(visitors.iterate(value))
        is_secret = any(self.is_secret(one) for one in inside)
        texts = [one for one in inside if isinstance(one, TextClause)]
        by_hand = {bind for text in texts for bind in text._bindparams.values()}  # noqa: SLF001
        for one in inside:
            if isinstance(one, BindParameter):
                yield one, is_secret or one in by_hand

    def _told_at_once(self, element: Any) -> Iterator[tuple[BindParameter[Any], bool]]:
        """The parameters of one condition or expression: all of them or none."""
        inside = list(visitors.iterate(element))
        if not any(isinstance(one, BindParameter) for one in inside):
            return
        has_column = any(isinstance(one, ColumnClause) for one in inside)
        for bind, is_secret in self._told_of_value(element):
            yield bind, is_secret or not (has_column or _is_harmless(bind.type))

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
