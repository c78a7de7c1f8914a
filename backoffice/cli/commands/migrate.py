"""Bring the database's tables up to date, or back to an earlier state.

TARGET is a revision or any beginning of its name, `heads` for all, or `zero` for none.
Each revision is a transaction of its own. Only one migration runs at a time: a second
one waits, and says for whom. --plan names the locks that statements take on tables
that are there, with their size; `sqlmigrate` has the whole SQL.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from backoffice.cli.project import opened
from backoffice.cli.prompts import confirm
from backoffice.cli.terminal import tell
from backoffice.database.migration_defaults import HEADS, WAIT, ZERO

if TYPE_CHECKING:
    from backoffice.bootstrap import Backoffice
    from backoffice.database.migrations import Step

GROUP = "Database"


def run(
    context: typer.Context,
    target: Annotated[str, typer.Argument()] = HEADS,
    *,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Say what would run, and on which tables others would wait; "
            "run nothing.",
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="End with 1 if anything would run.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds to wait while another migration runs."),
    ] = WAIT,
    wait_db: Annotated[
        float,
        typer.Option(
            "--wait-db", min=0, help="Seconds to wait for a database that starts."
        ),
    ] = 0,
    yes: Annotated[
        bool, typer.Option("--yes", help="Undo revisions without asking.")
    ] = False,
) -> None:
    """Apply or undo revisions."""
    from backoffice.database import migrations
    from backoffice.database.availability import wait_for_database
    from backoffice.database.migrations import Direction

    with opened(context) as backoffice:
        engine, project = backoffice.engine, backoffice.project
        wait_for_database(engine, wait_db, tell)
        steps = migrations.plan(engine, project, target=target)
        if plan or check:
            for step in steps:
                print(step)
                if plan:
                    _print_locks(backoffice, step)
            if not steps:
                print("Nothing to migrate.")
            raise typer.Exit(1 if check and steps else 0)
        if any(step.direction is Direction.DOWN for step in steps):
            # Tables that a project has from elsewhere are none of them.
            made = "every table that migrations have made"
            what = made if target == ZERO else f"what came after {target}"
            confirm(
                f"This drops {what}, with the rows in it, from "
                f"{engine.url.render_as_string()}:\n"
                + "\n".join(f"  {step}" for step in steps),
                word="drop",
                yes=yes,
            )
        done = migrations.migrate(
            engine,
            project,
            target=target,
            report=print,
            lock_timeout=backoffice.settings.database.migration_lock_timeout,
            wait=wait,
        )
        if not done:
            print("Nothing to migrate.")


def _print_locks(backoffice: "Backoffice", step: "Step") -> None:
    """Under a revision, each statement that keeps others from a table that is there."""
    from itertools import groupby

    from backoffice.database.migration_locks_postgresql import table_locks
    from backoffice.database.migrations import VERSION_TABLE, Direction, sql

    engine = backoffice.engine
    if engine.dialect.name != "postgresql":
        return
    script = sql(
        engine.dialect,
        backoffice.project,
        target=step.revision.id,
        backwards=step.direction is Direction.DOWN,
    )
    with engine.connect() as connection:
        found = [
            one for one in table_locks(connection, script) if one.table != VERSION_TABLE
        ]
    for statement, locks in groupby(found, key=lambda one: one.statement):
        print(f"    {statement}")
        for lock in locks:
            print(f"      {lock.words()}")
