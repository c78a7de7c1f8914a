"""Look for mistakes in settings, models and views; end with 1 if there are any.

Without --database nothing is connected to. --deploy adds what matters in production,
where warnings count as mistakes, too.
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from backoffice.checks import CheckMessage, Level
from backoffice.cli.project import opened, root_of
from backoffice.cli.terminal import DIM, RED, YELLOW, print_json, styled, tell
from backoffice.errors import BackofficeError, DatabaseUnavailable, ModuleProblem

GROUP = "Look"
COLOURS = {Level.ERROR: RED, Level.WARNING: YELLOW, Level.INFO: DIM}


def run(
    context: typer.Context,
    *,
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Is it fit for production?")
    ] = False,
    database: Annotated[
        bool, typer.Option("--database", help="Is the database fit, and migrated?")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(min=0, help="With --database, seconds to wait until it starts."),
    ] = 0,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Run the checks and say what they found."""
    if wait and not database:
        raise typer.BadParameter("--wait is for --database.")
    root = root_of(context)
    found = list(_checks(context, root, deploy=deploy, database=database, wait=wait))
    if json:
        print_json([_plain(one) for one in found])
    else:
        _print(found)
    limit = Level.WARNING if deploy else Level.ERROR
    raise typer.Exit(1 if any(one.level >= limit for one in found) else 0)


def _checks(
    context: typer.Context, root: Path, *, deploy: bool, database: bool, wait: float
) -> Iterator[CheckMessage]:
    from backoffice.admin.checks import check_views
    from backoffice.bootstrap import load_project
    from backoffice.cli.checking import (
        check_database,
        check_deployment,
        check_models,
        indexes_of,
    )
    from backoffice.cli.site import application_without_database
    from backoffice.database.availability import wait_for_database
    from backoffice.settings import load_settings

    settings = load_settings(root)
    project = load_project(root, settings)
    if not database:
        yield from check_models(project.metadata)
    try:
        with application_without_database(root) as app:
            yield from check_views(app.state.site)
    except ModuleProblem as error:
        yield CheckMessage(Level.ERROR, str(error), error.frames, "views.E001")
    except BackofficeError as error:
        yield CheckMessage(Level.ERROR, str(error), "", "views.E001")
    if deploy:
        is_embedded = not settings.database.url.get_secret_value()
        yield from check_deployment(settings, is_embedded=is_embedded)
    if database:
        with opened(context) as backoffice:
            # In vain: then that it cannot be reached is a finding like others.
            with suppress(DatabaseUnavailable):
                wait_for_database(backoffice.engine, wait, tell)
            standing = indexes_of(backoffice.engine)
            yield from check_models(project.metadata, standing)
            yield from check_database(backoffice)


def _print(found: list[CheckMessage]) -> None:
    for one in sorted(found, key=lambda message: -message.level):
        head, _, hint = str(one).partition("\n")
        level, _, rest = head.partition(" ")
        print(
            f"{styled(level, COLOURS[one.level], sys.stderr)} {rest}", file=sys.stderr
        )
        if hint:
            print(hint, file=sys.stderr)
    count = len(found)
    print(f"{count} finding{'' if count == 1 else 's'}." if found else "No findings.")


def _plain(one: CheckMessage) -> dict[str, str]:
    return {
        "id": one.id,
        "level": one.level.name.lower(),
        "text": one.text,
        "hint": one.hint,
    }
