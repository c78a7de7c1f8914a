"""What an action does with its rows: set columns, or call a function for each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Float,
    Numeric,
    Table,
    Text,
    and_,
    cast,
    literal,
    null,
    or_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.types import TypeEngine

from backoffice.bulk.target import Chosen
from backoffice.errors import Refused, SettingsError

# Changes one record, which is locked; False where there was nothing to do.
Work = Callable[[Session, Any], bool | None]
# For each of many records the audit's entries of its deletion, or why it is refused;
# None where it has to be deleted by itself.
Foretold = Callable[
    [Session, Sequence[Any]], Sequence[list[dict[str, Any]] | Refused | None]
]


@dataclass(frozen=True, slots=True)
class Assignment:
    """One column, and the value or SQL expression that it is set to."""

    attribute: str
    column: Column[Any]
    value: Any

    @property
    def expression(self) -> ColumnElement[Any]:
        """The value as SQL, of the column's own precision."""
        if self.value is None:
            return null()
        value: Any = self.value
        if hasattr(value, "__clause_element__"):
            value = value.__clause_element__()
        kind: TypeEngine[Any] = self.column.type
        if not isinstance(value, ColumnElement):
            return literal(value, kind)
        is_exact = isinstance(kind, Numeric) and not isinstance(kind, Float)
        return cast(value, kind) if is_exact else value


@dataclass(frozen=True, slots=True, eq=False)
class SetValues:
    """An update in one statement: `{attribute: value or SQL expression}`."""

    mapper: Mapper[Any]
    values: Mapping[Any, Any]
    assignments: tuple[Assignment, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = tuple(self._assignments())
        if not found:
            raise SettingsError("An action that sets nothing does nothing.")
        object.__setattr__(self, "assignments", found)

    def _assignments(self) -> Iterator[Assignment]:
        for given, value in self.values.items():
            name = str(getattr(given, "key", given))
            prop = self.mapper.column_attrs.get(name)
            column: Any = getattr(prop, "columns", (None,))[0]
            if not isinstance(column, Column) or column.table is not self.table:
                raise SettingsError(
                    f"An action sets {name!r}; {self.mapper.class_.__name__} has no "
                    "such column."
                )
            if column.computed is not None or column.primary_key:
                raise SettingsError(
                    f"An action sets {name!r}, which the database keeps itself."
                )
            yield Assignment(name, column, value)

    @property
    def table(self) -> Table:
        """The table that is updated."""
        table = self.mapper.local_table
        assert isinstance(table, Table)  # noqa: S101 - the target was checked
        return table

    @property
    def attributes(self) -> tuple[str, ...]:
        """What is set."""
        return tuple(one.attribute for one in self.assignments)

    @property
    def is_undoable(self) -> bool:
        """Whether the audit will hold every old value: secrets are masked in it."""
        return not any(one.column.info.get("secret") for one in self.assignments)

    def differs(self) -> ColumnElement[bool]:
        """Whether a row would really change."""
        return or_(
            *(distinct(a.column, a.column, a.expression) for a in self.assignments)
        )


@dataclass(frozen=True, slots=True, eq=False)
class EachRecord:
    """A function that is called with each record in turn.

    `touched` are attributes that it is known to change: what the preflight shows. A
    deletion that can foretell its entries needs no call: many go at once.
    """

    mapper: Mapper[Any]
    work: Work
    touched: tuple[str, ...] = ()
    is_deletion: bool = False
    # Whether `touched` is all that it changes, and of its own records alone.
    is_undoable: bool = False
    entries: Foretold | None = None

    @property
    def is_of_many(self) -> bool:
        """Whether many rows can be done by one statement."""
        return self.entries is not None


Change = SetValues | EachRecord


def distinct(column: Column[Any], old: Any, new: Any) -> ColumnElement[bool]:
    """Whether two values of a column differ, NULL being a value like others."""
    if isinstance(column.type, JSON):
        kind = JSONB().with_variant(Text(), "sqlite")
        old, new = cast(old, kind), cast(new, kind)
    found: ColumnElement[bool] = old.is_distinct_from(new)
    return found


def is_row(keys: tuple[Column[Any], ...], chosen: Chosen) -> ColumnElement[bool]:
    """Whether a row is this one."""
    return and_(*(key == value for key, value in zip(keys, chosen.values, strict=True)))
