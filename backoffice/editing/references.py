"""Which record a typed text refers to, and which ones it may mean.

A reference is typed: a key, an exact name, or the beginning of one. No table is ever
loaded whole: each question is bounded in rows, and the one that no index may serve in
time as well.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    Select,
    String,
    Table,
    UniqueConstraint,
    func,
    or_,
    select,
)
from sqlalchemy import types as sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.sql.base import ExecutableOption

from backoffice.audit.recorder import label_of
from backoffice.database.keys import format_key, parse_key
from backoffice.database.session import limit_statements
from backoffice.database.values import shown
from backoffice.database.words import record_word, records_word
from backoffice.errors import RecordNotFound, Refused

CANDIDATES = 8
LONGEST_TERM = 200
# Seconds that the search without an index may take.
SEARCH_LIMIT = 2.0
NAMES = ("name", "full_name", "title", "label", "code", "username", "email", "slug")

Scope = Callable[[Select[Any]], Select[Any]]


@dataclass(frozen=True, slots=True)
class Choice:
    """A record that may be meant: its key, and what it is called."""

    key: str
    label: str


class Ambiguous(Refused):
    """A reference was not understood; `candidates` are what may be meant, by field."""

    def __init__(
        self,
        fields: Mapping[str, str],
        candidates: Mapping[str, tuple[Choice, ...]],
    ) -> None:
        self.candidates = dict(candidates)
        super().__init__(fields)


def lookup(  # noqa: PLR0913 - a search has as many sides, each by its name
    session: Session,
    model: type[Any],
    term: str,
    *,
    columns: Sequence[str] = (),
    limit: int = 20,
    scope: Scope | None = None,
    condition: ColumnElement[bool] | None = None,
    order: Sequence[Any] = (),
    options: Sequence[ExecutableOption] = (),
    label: Callable[[Any], str] | None = None,
) -> list[Choice]:
    """Up to `limit` records that `term` may mean, the likeliest first.

    First the key and exact names, then names that begin with the term, then those
    that have it in them. `columns` are the text attributes that are names, by default
    the unique ones and what is called a name. `condition` (a list's own search, that
    an index serves) takes the place of the last two steps. `label` says what a record
    is called, by default what it calls itself.
    """
    term = _typable(term)
    search = _Search(session, model, limit, scope, tuple(order), tuple(options))
    names = name_columns(search.mapper, columns)
    if not term:
        search.add(None)
        return search.choices(label)
    search.add_key(term)
    if names:
        search.add(or_(*(column == term for column in names)))
    if condition is not None:
        search.add_slow(condition)
    elif names:
        search.add_slow(or_(*(_starts_with(column, term) for column in names)))
        search.add_slow(
            or_(*(column.icontains(term, autoescape=True) for column in names))
        )
    return search.choices(label)


def resolve(
    session: Session,
    model: type[Any],
    text: str,
    *,
    columns: Sequence[str] = (),
    scope: Scope | None = None,
    field: str = "",
) -> Any:
    """The one record that `text` names, by its key or its exact name.

    Raises:
        Ambiguous: several fit, or none; with the candidates under `field`.
    """
    found = candidates_for(session, model, text, columns=columns, scope=scope)
    if len(found) == 1:
        return found[0]
    mapper: Mapper[Any] = model.__mapper__
    if found:
        several = tuple(_choice(mapper, record) for record in found[:CANDIDATES])
        message = f"Several {records_word(mapper)} fit {shown(text)}; choose one."
        raise Ambiguous({field: message}, {field: several})
    near = lookup(session, model, text, columns=columns, limit=CANDIDATES, scope=scope)
    what = record_word(mapper)
    message = f"There is no {what} with the key or name {shown(text)}."
    raise Ambiguous({field: message}, {field: tuple(near)})


def candidates_for(
    session: Session,
    model: type[Any],
    text: str,
    *,
    columns: Sequence[str] = (),
    scope: Scope | None = None,
) -> list[Any]:
    """The records whose key or exact name is `text`; a few where several are.

    A key is taken before names, except where a unique name of another record is the
    same text: then both are candidates.
    """
    text = _typable(text)
    if not text:
        return []
    search = _Search(session, model, CANDIDATES, scope)
    names = name_columns(search.mapper, columns)
    by_key = search.add_key(text)
    if by_key:
        names = [c for c in names if c.name in _unique_names(search.mapper)]
    if names:
        search.add(or_(*(column == text for column in names)))
    if not search.found and names:
        # An index on lower() serves this; without one the limits of the page hold.
        lowered = text.lower()
        search.add_slow(or_(*(func.lower(column) == lowered for column in names)))
    return list(search.found.values())


def name_columns(mapper: Mapper[Any], keys: Iterable[str] = ()) -> list[Column[Any]]:
    """The text columns that name a record."""
    keys = tuple(keys)
    if keys:
        own = mapper.columns
        found = [own[key] for key in keys if key in own]
        return [c for c in found if _is_text(c)]
    unique = _unique_names(mapper)
    texts = [c for c in mapper.columns if _is_text(c) and not c.info.get("secret")]
    chosen = [c for c in texts if c.name in unique or c.name.lower() in NAMES]
    # A name says more than a code that is unique as well.
    ranks = {name: rank for rank, name in enumerate(NAMES)}
    chosen.sort(key=lambda column: ranks.get(column.name.lower(), len(ranks)))
    return chosen[:4] or texts[:1]


def _is_text(column: Column[Any]) -> bool:
    return isinstance(column.type, String) and not isinstance(column.type, sql.Enum)


def _unique_names(mapper: Mapper[Any]) -> set[str]:
    """Names of the columns that are unique by themselves."""
    found: set[str] = set()
    for table in mapper.tables:
        if not isinstance(table, Table):
            continue
        rules: list[UniqueConstraint | Index] = [
            c for c in table.constraints if isinstance(c, UniqueConstraint)
        ]
        rules += [index for index in table.indexes if index.unique]
        for rule in rules:
            names = [column.name for column in rule.columns]
            if len(names) == 1:
                found.add(names[0])
        found |= {c.name for c in table.columns if c.unique}
    return found


def _typable(text: str) -> str:
    """What of a text can be searched for; nothing where it cannot be stored."""
    # Without the signs that pages put around a name that is written from the right.
    text = re.sub("[\u2066-\u2069]", "", text).strip()
    if "\x00" in text or re.search("[\ud800-\udfff]", text):
        return ""
    return text[:LONGEST_TERM]


def _starts_with(column: Column[Any], term: str) -> ColumnElement[bool]:
    return column.istartswith(term, autoescape=True)


def _choice(mapper: Mapper[Any], record: Any) -> Choice:
    key = format_key(mapper, record)
    return Choice(key, label_of(mapper, record, key))


class _Search:
    """Records found so far, each once, in the order they were found."""

    def __init__(
        self,
        session: Session,
        model: type[Any],
        limit: int,
        scope: Scope | None,
        order: tuple[Any, ...] = (),
        options: tuple[ExecutableOption, ...] = (),
    ) -> None:
        self.session = session
        self.mapper: Mapper[Any] = model.__mapper__
        self.limit = limit
        self.found: dict[str, Any] = {}
        query = select(model).options(*options)
        self.query = scope(query) if scope else query
        self.order = order or (
            *name_columns(self.mapper)[:1],
            *self.mapper.primary_key,
        )

    def add_key(self, text: str) -> bool:
        """The record with this key."""
        try:
            key = parse_key(self.mapper, text)
        except RecordNotFound:
            return False
        columns = self.mapper.primary_key
        before = len(self.found)
        self._run(
            self.query.where(
                *(c == value for c, value in zip(columns, key, strict=True))
            )
        )
        return len(self.found) > before

    def add(self, condition: ColumnElement[bool] | None) -> None:
        """Further records for which a condition holds."""
        room = self.limit - len(self.found)
        if room <= 0:
            return
        query = self.query if condition is None else self.query.where(condition)
        # Those that were found already may come again.
        self._run(query.order_by(*self.order).limit(room + len(self.found)))

    def add_slow(self, condition: ColumnElement[bool]) -> None:
        """The same, given up where it takes too long."""
        if len(self.found) >= self.limit:
            return
        is_postgresql = self.session.get_bind(self.mapper).dialect.name == "postgresql"
        if not is_postgresql:
            self.add(condition)
            return
        savepoint = self.session.begin_nested()
        try:
            limit_statements(self.session, statement=SEARCH_LIMIT, lock=SEARCH_LIMIT)
            self.add(condition)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != "57014":
                raise
        finally:
            # Nothing was written; the transaction gets its own limits back.
            savepoint.rollback()

    def _run(self, query: Select[Any]) -> None:
        for record in self.session.scalars(query).unique():
            key = format_key(self.mapper, record)
            if len(self.found) < self.limit:
                self.found.setdefault(key, record)

    def choices(self, label: Callable[[Any], str] | None = None) -> list[Choice]:
        """What was found, with labels."""
        return [
            Choice(key, label(record) if label else label_of(self.mapper, record, key))
            for key, record in self.found.items()
        ]
