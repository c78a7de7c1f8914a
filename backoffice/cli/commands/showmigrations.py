"""List the revisions, and which of them the database has had."""

from typing import Annotated

import typer

from backoffice.cli.project import opened
from backoffice.cli.terminal import print_json
from backoffice.database.migrations import Revision, history

GROUP = "Database"


def run(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print them in the order they are applied."""
    with opened(context) as backoffice:
        found = history(backoffice.engine, backoffice.project)
    if json:
        print_json([_plain(revision) for revision in found])
        return
    branch = ""
    for revision in found:
        if revision.branch != branch:
            branch = revision.branch
            print(branch)
        print(
            f" [{'X' if revision.is_applied else ' '}] {revision.id}  {revision.title}"
        )


def _plain(revision: Revision) -> dict[str, object]:
    return {
        "id": revision.id,
        "title": revision.title,
        "branch": revision.branch,
        "applied": revision.is_applied,
    }
