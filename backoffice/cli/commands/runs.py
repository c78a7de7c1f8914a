"""List the runs of actions: who changed how many records, when, and what came of it."""

from typing import Annotated, Any

import typer
from sqlalchemy import select

from backoffice.bulk.models import Run
from backoffice.cli.project import opened, transaction
from backoffice.cli.terminal import print_json

GROUP = "Look"


def run(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print the newest runs, newest first."""
    with opened(context) as backoffice, transaction(context, backoffice) as session:
        newest = select(Run).order_by(Run.id.desc()).limit(limit)
        found = [_facts(one) for one in session.scalars(newest)]
    if json:
        print_json(found)
        return
    if not found:
        print("Nothing was run yet.")
    for one in found:
        print(
            f"{one['run']:>6}  {one['at'][:16].replace('T', ' ')}  {one['state']:<9}  "
            f"{one['changed']:,} of {one['total']:,}  {one['action']}"
        )
        print(f"        {one['by']}, {one['rows']}")


def _facts(one: Run) -> dict[str, Any]:
    return {
        "run": one.id,
        "at": one.created_at.isoformat(),
        "by": one.actor_label,
        "view": one.view,
        "action": one.label,
        "rows": one.words,
        "state": one.state,
        "total": one.total,
        "met": one.met,
        "changed": one.changed,
        "same": one.same,
        "left": one.left,
        "refused": one.refused,
        "seconds": one.busy_ms / 1000,
        "reason": one.reason,
    }
