"""Write a revision for what the models have and the database has not.

The file is yours to read and change before `migrate` applies it.
"""

from typing import Annotated

import typer

from backoffice.cli.project import opened

GROUP = "Database"


def run(
    context: typer.Context,
    *,
    name: Annotated[
        str, typer.Option("--name", "-n", help="What the revision is called.")
    ] = "",
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; end with 1 if it would."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would do; write nothing.")
    ] = False,
    empty: Annotated[
        bool, typer.Option("--empty", help="Write one to be filled by hand.")
    ] = False,
    own: Annotated[
        bool, typer.Option("--own", hidden=True, help="For Backoffice's own tables.")
    ] = False,
) -> None:
    """Compare the models with the database."""
    from backoffice.database.autogenerate import make_revision

    with opened(context) as backoffice:
        revision = make_revision(
            backoffice.engine,
            backoffice.project,
            name=name,
            is_empty=empty,
            is_own=own,
            dry_run=check or dry_run,
        )
    for change in revision.changes:
        print(f"  {change}")
    if revision.path:
        print(f"Wrote {revision.path}")
    elif not revision.changes:
        print("No changes.")
    if check and revision.changes:
        raise typer.Exit(1)
