"""How many rows a list has: counted while that is cheap, estimated after."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    Table,
    Text,
    func,
    inspect,
    literal,
    literal_column,
    null,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Mapper, Session

from backoffice.database.estimates import (
    explained_rows_postgresql,
    table_rows_postgresql,
)


@dataclass(frozen=True, slots=True)
class RowCount:
    """A number of rows, and how it came about.

    `is_exact`: it was counted. Otherwise the planner estimated it, or, where nobody can
    tell, there are more than `value`.
    """

    value: int
    is_exact: bool = True
    is_estimate: bool = False

    def words(self) -> str:
        """The number as a page says it: "1,284", "about 1,200,000"."""
        if self.is_exact:
            return f"{self.value:,}"
        if self.is_estimate:
            return f"about {rounded(self.value):,}"
        return f"more than {self.value:,}"

    __str__ = words


def count_rows(session: Session, select_: Select[Any], limit: int) -> RowCount:
    """Count up to `limit` rows of a select; beyond that, ask the planner."""
    capped = session.scalar(select(capped_count(select_, limit))) or 0
    return row_count(session, select_, capped, limit)


def row_count(
    session: Session,
    select_: Select[Any],
    capped: int,
    limit: int,
    known: float | None = None,
) -> RowCount:
    """What a count that stopped after `limit` rows comes to.

    `known` is an estimate that has been read already; without it one more statement
    asks for it, and only where the count stopped.
    """
    if capped <= limit:
        return RowCount(capped)
    if known is None and session.get_bind().dialect.name == "postgresql":
        known = explained_rows_postgresql(session, select_.order_by(None))
    # Stale statistics can put the estimate below what was just counted.
    if known is None or known < capped:
        return RowCount(limit, is_exact=False)
    return RowCount(int(known), is_exact=False, is_estimate=True)


def count_each(
    session: Session, selects: Mapping[str, Select[Any]], limit: int
) -> dict[str, RowCount]:
    """Count up to `limit` rows of several selects, by name, with one statement."""
    parts = [
        select(
            literal(name, Text).label("name"),
            capped_count(_of_nothing(each), limit).label("rows"),
        )
        for name, each in selects.items()
    ]
    if not parts:
        return {}
    found = session.execute(union_all(*parts)).all()
    return {
        name: RowCount(min(rows, limit), is_exact=rows <= limit) for name, rows in found
    }


def _of_nothing(select_: Select[Any]) -> Select[Any]:
    """The same rows without their columns, which nobody counts."""
    one: ColumnElement[int] = literal_column("1")
    return select_.with_only_columns(one, maintain_column_froms=True)


def capped_count(select_: Select[Any], limit: int) -> ColumnElement[int]:
    """The number of rows as an expression, stopping one row over the limit."""
    # In the text, not bound: a plan for any limit would be one for a large part.
    most = literal(limit + 1, literal_execute=True)
    capped = select_.order_by(None).limit(most).subquery()
    counted: Select[int] = select(func.count()).select_from(capped)
    return counted.scalar_subquery()


def estimate_column(
    select_: Select[Any], model: type[Any], dialect: str
) -> ColumnElement[float]:
    """The estimate for a whole table, as an expression; null for anything narrower."""
    mapper: Mapper[Any] = inspect(model)
    mapped = mapper.local_table
    if (
        dialect == "postgresql"
        and isinstance(mapped, Table)
        and mapper.inherits is None
        and is_whole(select_)
    ):
        return table_rows_postgresql(mapped)
    return type_coerce(null(), Float)


def is_whole(select_: Select[Any]) -> bool:
    """Whether a select leaves nothing out of its table."""
    has_joins: bool = bool(select_._setup_joins)  # noqa: SLF001 - has no public name
    return not has_joins and select_.whereclause is None


def rounded(number: int) -> int:
    """The number to two significant digits: no estimate knows more."""
    if number < 100:  # noqa: PLR2004 - two digits
        return number
    unit = int(10 ** (int(math.log10(number)) - 1))
    return round(number / unit) * unit
