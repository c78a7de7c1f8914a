"""Which rows an action is for: each by its key, and by its version as it was seen.

A version changes whenever its row is written: PostgreSQL's `xmin`, elsewhere a hash of
the row's values.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnClause,
    ColumnElement,
    Numeric,
    Select,
    Table,
    Text,
    and_,
    any_,
    cast,
    column,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import Mapper, Session

from backoffice.bulk.keys_postgresql import key_text_postgresql
from backoffice.database.keys import format_key_values
from backoffice.database.values import format_value
from backoffice.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Chosen:
    """One row: its key as values and as text, its version, and what it is called."""

    values: tuple[Any, ...]
    key: str
    version: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows there are, and a hash of their keys and versions."""

    count: int
    hash: str

    def __str__(self) -> str:
        return f"{self.count}:{self.hash}"


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """Rows of which some are left alone, and what says which: found by one look."""

    every: Select[Any]
    is_left: ColumnElement[bool]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """The rows of a select of one model, in no order.

    `label_key` names the attribute that a row is called by; `about` is how many rows
    there are, where that is known without counting; `some` finds about so many of them,
    where that is quicker than to find them all. `apart` is set where these are the rest
    of rows of which others are left alone.
    """

    mapper: Mapper[Any]
    rows: Select[Any]
    label_key: str = ""
    about: int | None = None
    some: Callable[[int], Select[Any]] | None = None
    apart: Apart | None = None
    table: Table = field(init=False)

    def __post_init__(self) -> None:
        table = self.mapper.local_table
        if not isinstance(table, Table) or self.mapper.inherits is not None:
            raise SettingsError(
                f"{self.mapper.class_.__name__} stands in several tables; "
                "actions are for models with one."
            )
        object.__setattr__(self, "table", table)

    @property
    def keys(self) -> tuple[Column[Any], ...]:
        """The columns of the primary key."""
        return tuple(c for c in self.mapper.primary_key if isinstance(c, Column))

    @property
    def label(self) -> Column[Any] | None:
        """The column that a row is called by, where it is one of the table's own."""
        prop = self.mapper.column_attrs.get(self.label_key)
        column = prop.columns[0] if prop is not None else None
        if not isinstance(column, Column) or column.table is not self.table:
            return None
        return None if column.info.get("secret") else column

    def without(self, condition: ColumnElement[bool]) -> "Target":
        """The rows but for those that a condition takes out."""
        some, apart = self.some, self.apart
        return replace(
            self,
            rows=self.rows.where(not_(condition)),
            some=(lambda most: some(most).where(not_(condition))) if some else None,
            apart=Apart(
                apart.every.where(or_(apart.is_left, not_(condition))), apart.is_left
            )
            if apart
            else None,
        )

    def narrowed(self, *conditions: ColumnElement[bool]) -> "Target":
        """The rows that fulfil a condition, and no word about others."""
        return replace(self, rows=self.rows.where(*conditions), some=None, apart=None)

    def only(self, columns: Iterable[Any]) -> Select[Any]:
        """The rows with these columns alone."""
        return self.rows.with_only_columns(
            *columns, maintain_column_froms=True
        ).order_by(None)


def among(
    keys: Sequence[Column[Any]], chosen: Sequence[Chosen], dialect: str
) -> ColumnElement[bool]:
    """Whether a row is one of the chosen, by its key; whatever their number.

    PostgreSQL takes arrays, each of them one bound value: of single ones it takes
    65,535 in a statement.
    """
    if dialect == "postgresql":
        arrays = [
            literal([one.values[index] for one in chosen], ARRAY(key.type))
            for index, key in enumerate(keys)
        ]
        if len(keys) == 1:
            return keys[0] == any_(arrays[0])
        names = [column(f"k{index}", key.type) for index, key in enumerate(keys)]
        given = func.unnest(*arrays).table_valued(*names, name="picked")
        table = given.render_derived()
        return tuple_(*keys).in_(select(*table.c))
    if len(keys) == 1 or not chosen:
        return keys[0].in_([one.values[0] for one in chosen])
    return or_(
        *(
            and_(*(key == value for key, value in zip(keys, one.values, strict=True)))
            for one in chosen
        )
    )


def is_postgresql(session: Session) -> bool:
    """Whether the rows stand in PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"


def version_postgresql(table: Table) -> ColumnElement[str]:
    """The transaction that wrote the row last."""
    return cast(ColumnClause("xmin", Text, _selectable=table), Text)


def version_of(table: Table, row: Any) -> str:
    """A hash of all values of a row that was read whole."""
    texts = [
        "\0" if value is None else f"={format_value(column, value)}"
        for column, value in zip(table.columns, row, strict=True)
    ]
    return sha256("\x1f".join(texts).encode(errors="surrogatepass")).hexdigest()[:32]


def read_chosen(
    session: Session,
    target: Target,
    limit: int | None = None,
    *,
    is_backwards: bool = False,
) -> list[Chosen]:
    """The rows, by key, with their versions; at most one more than `limit`.

    These are the first ones, or, backwards, the last.
    """
    keys, label = target.keys, target.label
    extra = [label] if label is not None else []
    is_pg = is_postgresql(session)
    version: list[Any] = (
        [version_postgresql(target.table)] if is_pg else list(target.table.columns)
    )
    order = [key.desc() for key in keys] if is_backwards else list(keys)
    statement = target.only([*keys, *extra, *version]).order_by(*order)
    if limit is not None:
        statement = statement.limit(limit + 1)
    found = []
    own, start = len(keys), len(keys) + len(extra)
    for row in session.execute(statement):
        values = tuple(row[:own])
        name = row[own] if extra else None
        found.append(
            Chosen(
                values,
                format_key_values(target.mapper, values),
                row[start] if is_pg else version_of(target.table, row[start:]),
                "" if name is None or label is None else format_value(label, name),
            )
        )
    return found[::-1] if is_backwards else found


def digest_of(chosen: Sequence[Chosen]) -> Digest:
    """The digest of rows that were read."""
    found = sha256()
    for text in sorted(f"{one.key}\x1f{one.version}\x1e" for one in chosen):
        found.update(text.encode())
    return Digest(len(chosen), found.hexdigest()[:32])


def digest_postgresql(session: Session, target: Target) -> Digest:
    """The digest of any number of rows, in one statement that keeps none of them."""
    return digest_apart_postgresql(session, target)[0]


def digest_apart_postgresql(
    session: Session, target: Target
) -> tuple[Digest, int | None]:
    """The digest, and how many rows beside them are left alone where one look tells."""
    text = key_text_postgresql(target.keys)
    version = version_postgresql(target.table)
    hashed = func.hashtextextended(text + literal(":") + version, 0)
    columns: list[Any] = [cast(hashed, Numeric).label("hash")]
    apart = target.apart
    if apart is not None:
        columns.append(apart.is_left.label("is_left"))
        target = replace(target, rows=apart.every)
    rows = target.only(columns).subquery()
    is_left: Any = rows.c.is_left if apart is not None else false()
    count, total, left = session.execute(
        select(
            func.count().filter(not_(is_left)),
            func.coalesce(func.sum(rows.c.hash).filter(not_(is_left)), 0),
            func.count().filter(is_left),
        )
    ).one()
    return Digest(int(count), str(total)), left if apart is not None else None


def take_digest(session: Session, target: Target, chosen: Sequence[Chosen]) -> Digest:
    """The digest of all rows of a target, which were read as `chosen`.

    It is taken in the same way for few rows as for many, so that two are comparable.
    """
    if is_postgresql(session):
        return digest_postgresql(session, target)
    return digest_of(chosen)
