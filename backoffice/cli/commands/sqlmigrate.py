"""Print the SQL of a revision; nothing is run, and no database is needed."""

from typing import Annotated

import typer

from backoffice.cli.project import root_of

GROUP = "Database"


def run(
    context: typer.Context,
    revision: Annotated[
        str, typer.Argument(help="Its id or a beginning of it; heads for all.")
    ],
    *,
    backwards: Annotated[
        bool, typer.Option("--backwards", help="The SQL that undoes it.")
    ] = False,
) -> None:
    """Print what `migrate` would send."""
    from backoffice.bootstrap import load_project
    from backoffice.database.engine import database_url
    from backoffice.database.migrations import sql
    from backoffice.settings import load_settings

    root = root_of(context)
    settings = load_settings(root)
    # Without a database of its own the project gets PostgreSQL.
    given = settings.database.url.get_secret_value() or "postgresql://"
    dialect = database_url(given).get_dialect()()
    project = load_project(root, settings)
    print(sql(dialect, project, target=revision, backwards=backwards), end="")
