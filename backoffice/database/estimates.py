"""How many rows PostgreSQL's planner expects, which costs it no look at the rows."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Float,
    Select,
    Table,
    Text,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import ARRAY, OID, REGCLASS
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.sql.visitors import InternalTraversal

_PG_CLASS = table(
    "pg_class",
    column("oid"),
    column("relkind"),
    column("reltuples"),
    column("relpages"),
    schema="pg_catalog",
)


class ExplainPostgresql(Executable, ClauseElement):
    """`EXPLAIN (FORMAT JSON)` of a select, with its values bound; runs nothing."""

    inherit_cache = True
    _traverse_internals = [("select", InternalTraversal.dp_clauseelement)]  # noqa: RUF012
    # A plan has no columns of the select; a cached statement is asked for them.
    _all_selected_columns = ()

    def __init__(self, select: Select[Any]) -> None:
        self.select = select


@compiles(ExplainPostgresql, "postgresql")
def _explain(element: ExplainPostgresql, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.select, **kwargs)}"


def explained_rows_postgresql(session: Session, select: Select[Any]) -> int:
    """The rows that the planner expects of a select; one short statement."""
    plan = session.execute(ExplainPostgresql(select)).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"])


@lru_cache(maxsize=256)
def table_rows_postgresql(mapped: Table) -> ColumnElement[float]:
    """The rows of a whole table as the planner would estimate them, as an expression.

    Null where there are no statistics: never analyzed, no plain table.
    """
    size = func.pg_relation_size(_PG_CLASS.c.oid)
    pages = size / cast(func.current_setting(literal_column("'block_size'")), Float)
    rows = case(
        (
            _PG_CLASS.c.relpages > 0,
            _PG_CLASS.c.reltuples / _PG_CLASS.c.relpages * pages,
        ),
        else_=None,
    )
    is_known = (_PG_CLASS.c.reltuples >= 0) & (_PG_CLASS.c.relkind == "r")
    name = cast(_quoted(mapped), REGCLASS)
    found = select(rows).where(_PG_CLASS.c.oid == cast(name, OID)).where(is_known)
    return found.scalar_subquery()


def _quoted(mapped: Table) -> ColumnElement[str]:
    """The table's name as `regclass` reads it, as a constant."""
    parts = [part for part in (mapped.schema, mapped.name) if part]
    name = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
    return literal_column("'" + name.replace("'", "''") + "'")


def estimated_row_counts(session: Session, tables: Iterable[str]) -> dict[str, int]:
    """The rows of several tables as the last ANALYZE saw them, in one statement.

    Left out are tables without statistics, and everything where there is no planner
    to ask: on SQLite the answer is empty.
    """
    names = list(tables)
    if session.get_bind().dialect.name != "postgresql" or not names:
        return {}
    preparer = session.get_bind().dialect.identifier_preparer
    quoted = {
        ".".join(preparer.quote(part) for part in name.split(".")): name
        for name in names
    }
    given = func.unnest(cast(list(quoted), ARRAY(Text))).column_valued("given")
    found = session.execute(
        select(_PG_CLASS.c.reltuples, given)
        .join(_PG_CLASS, _PG_CLASS.c.oid == cast(func.to_regclass(given), OID))
        .where(_PG_CLASS.c.reltuples >= 0)
    )
    return {quoted[name]: int(rows) for rows, name in found}
