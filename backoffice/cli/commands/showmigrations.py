"""List the revisions, and which of them the database has had."""

from typing import TYPE_CHECKING, Annotated

import typer

from backoffice.cli.project import opened
from backoffice.cli.terminal import print_json

if TYPE_CHECKING:
    from backoffice.database.migrations import Revision

GROUP = "Database"


def run(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print them in the order they are applied."""
    from backoffice.database.migrations import history

    with opened(context) as backoffice:
        found = history(backoffice.engine, backoffice.project)
    if json:
        print_json([_plain(revision) for revision in found])
        return
    for branch in dict.fromkeys(revision.branch for revision in found):
        print(branch)
        for one in found:
            if one.branch == branch:
                print(f" [{'X' if one.is_applied else ' '}] {one.id}  {one.title}")


def _plain(revision: "Revision") -> dict[str, object]:
    return {
        "id": revision.id,
        "title": revision.title,
        "branch": revision.branch,
        "applied": revision.is_applied,
    }
