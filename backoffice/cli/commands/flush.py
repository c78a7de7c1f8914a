"""Delete every row of every table; the tables stay.

The project's tables and Backoffice's own (accounts, sessions, audit) are emptied in one
transaction. What has been migrated stays migrated.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from backoffice.cli.project import opened
from backoffice.cli.prompts import confirm

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData, Table

GROUP = "Database"


def run(
    context: typer.Context,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep_accounts: Annotated[
        bool,
        typer.Option(
            "--keep-accounts", help="Leave accounts, sessions and the audit alone."
        ),
    ] = False,
) -> None:
    """Ask, and empty the tables."""
    from sqlalchemy import func, select

    from backoffice.database.flushing import empty_tables

    with opened(context) as backoffice:
        with backoffice.engine.connect() as connection:
            tables = _tables(
                connection, backoffice.project.metadata, with_own=not keep_accounts
            )
            counts = {
                table.fullname: connection.scalar(
                    select(func.count()).select_from(table)
                )
                or 0
                for table in tables
            }
        total = sum(counts.values())
        database = backoffice.engine.url.database or ""
        lines = [f"  {name}: {count:,}" for name, count in counts.items() if count]
        confirm(
            f"This deletes {total:,} rows of "
            f"{backoffice.engine.url.render_as_string()}:\n" + "\n".join(lines),
            word=database.rpartition("/")[2] or "flush",
            yes=yes,
        )
        empty_tables(backoffice.engine, tables)
    print(f"Deleted {total:,} rows.")


def _tables(
    connection: "Connection", metadata: "list[MetaData]", *, with_own: bool
) -> "list[Table]":
    """Those of the metadata that the database has, parents first."""
    from sqlalchemy import inspect

    from backoffice.database.base import OWN_PREFIX

    there = inspect(connection)
    return [
        table
        for one in metadata
        for table in one.sorted_tables
        if there.has_table(table.name, schema=table.schema)
        and (with_own or not table.name.startswith(OWN_PREFIX))
    ]
