"""What SQLite has in place of COPY, TRUNCATE and VACUUM (ANALYZE)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Table, column, delete, insert, inspect, table

from backoffice.seeding.plan import Plan


def empty(connection: Connection, plan: Plan) -> None:
    """Delete the rows, children first, and let keys begin at 1 again."""
    for filled in reversed(plan.resets):
        connection.execute(delete(filled))
    if inspect(connection).has_table("sqlite_sequence"):
        sequences = table("sqlite_sequence", column("name"))
        names = [filled.name for filled in plan.resets]
        connection.execute(delete(sequences).where(sequences.c.name.in_(names)))


def insert_rows(
    connection: Connection,
    filled: Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    """Write a block of rows by one prepared statement."""
    values = [dict(zip(columns, row, strict=True)) for row in rows]
    connection.execute(insert(filled), values)


def analyze(engine: Engine, filled: Table) -> None:
    """Tell the planner about the rows."""
    with engine.begin() as connection:
        quoted = connection.dialect.identifier_preparer.format_table(filled)
        connection.exec_driver_sql(f"ANALYZE {quoted}")
