"""Fill the project's tables with rows to try it on, or with files.

The same --seed gives the same rows, byte by byte. All of them are written in one
transaction: an interrupt leaves the database as it was. Where rows stand already
nothing is done; --reset replaces them, and never touches accounts or the audit.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backoffice.cli.project import opened
from backoffice.cli.prompts import confirm
from backoffice.cli.terminal import typed
from backoffice.errors import Refused
from backoffice.project_module import look_in
from backoffice.seeding.plan import Import, Plan, Project, Size, load_project
from backoffice.settings import load_settings

if TYPE_CHECKING:
    from backoffice.seeding.seeder import SeedReport

GROUP = "Database"
SEED = 7
SHOWN_LINES = 20


def make_run(root: Path) -> Callable[..., None]:
    """The command with an option for each size and file kind that the project has."""
    settings = load_settings(root)
    look_in(root)
    project = load_project(settings.app.seeding)

    def run(**given: Any) -> None:
        _run(project, **given)

    parameters = [
        _keyword("context", typer.Context),
        *(_size_option(size) for size in project.sizes),
        *(_import_option(one) for one in project.imports),
        _keyword(
            "seed",
            Annotated[int, typer.Option(help="The number that all rows follow from.")],
            SEED,
        ),
        _keyword(
            "reset",
            Annotated[bool, typer.Option("--reset", help="Replace what is there.")],
            default=False,
        ),
        _keyword(
            "yes",
            Annotated[bool, typer.Option("--yes", help="Do not ask before --reset.")],
            default=False,
        ),
    ]
    signature = inspect.Signature(parameters)
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.epilog = "\n\n".join(one.notes for one in project.imports)  # type: ignore[attr-defined]
    return run


def _keyword(
    name: str, annotation: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _size_option(size: Size) -> inspect.Parameter:
    text = f"{size.help} (default {size.default:,})"
    option = typer.Option(min=0, max=size.maximum, help=text, metavar="N")
    return _keyword(_parameter(size.name), Annotated[int | None, option], None)


def _import_option(one: Import) -> inspect.Parameter:
    option = typer.Option(help=one.help, exists=True, metavar="DIR")
    return _keyword(_parameter(one.name), Annotated[Path | None, option], None)


def _parameter(name: str) -> str:
    return name.replace("-", "_")


def _run(
    project: Project,
    *,
    context: typer.Context,
    seed: int,
    reset: bool,
    yes: bool,
    **given: Any,
) -> None:
    from backoffice.cli.progress import ProgressBar
    from backoffice.database.migrations import pending
    from backoffice.seeding import seeder

    plan = _plan(project, seed, given)
    with opened(context) as backoffice:
        if pending(backoffice.engine, backoffice.project):
            raise Refused(
                message=f"Migrations are due; `{typed('migrate')}` makes the tables."
            )
        if reset and not backoffice.is_embedded:
            names = ", ".join(table.name for table in plan.resets)
            confirm(
                f"This deletes every row of {names} in "
                f"{backoffice.engine.url.render_as_string()}.",
                word="replace",
                yes=yes,
            )
        with _taken_back_if_ended(), ProgressBar(sys.stderr) as bar:
            report = seeder.seed(
                backoffice.engine, plan, reset=reset, progress=bar.show
            )
    _print(report)


@contextmanager
def _taken_back_if_ended() -> Iterator[None]:
    """Who ends the command in the middle is told what became of the rows."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        print(
            "Ended: nothing is written, the tables are as they were.", file=sys.stderr
        )
        raise


def _plan(project: Project, number: int, given: dict[str, Any]) -> Plan:
    """The plan that the options name.

    Raises:
        Refused: files are to be loaded and rows to be made.
    """
    sizes = {
        size.name: value
        for size in project.sizes
        if (value := given[_parameter(size.name)]) is not None
    }
    chosen = [one for one in project.imports if given[_parameter(one.name)] is not None]
    if chosen and (sizes or len(chosen) > 1):
        raise Refused(
            message=f"--{chosen[0].name} loads files and makes no rows; "
            "give it without sizes."
        )
    if chosen:
        return chosen[0].plan(given[_parameter(chosen[0].name)])
    return project.plan(sizes, number)


def _print(report: "SeedReport") -> None:
    for filled in report.tables:
        print(f"  {filled.table}: {filled.rows:,} rows")
    print(f"Wrote {report.rows:,} rows in {report.seconds:.1f} s.")
    if report.refused:
        print(f"Refused {len(report.refused):,} lines:")
        for line in report.refused[:SHOWN_LINES]:
            print(f"  {line}")
        rest = len(report.refused) - SHOWN_LINES
        if rest > 0:
            print(f"  and {rest:,} more")
