"""List the runs of actions: who changed how many records, when, and what came of it.

With a NUMBER one run is shown, with the rows that it has not changed. With a word
behind it that is asked of the run: pause, cancel, resume (also one that was cancelled
or has failed), retry (the rows that were locked or refused), undo (first it shows what
would be given back).
"""

from typing import Annotated, Any

import typer

from backoffice.bulk.states import STATES
from backoffice.cli.project import opened, transaction
from backoffice.cli.terminal import YELLOW, print_json, styled

GROUP = "Look"


def run(  # noqa: PLR0913 - a command has as many options
    context: typer.Context,
    number: Annotated[int | None, typer.Argument(min=1, help="Which one.")] = None,
    asked: Annotated[
        str, typer.Argument(help="pause, resume, cancel, retry or undo.")
    ] = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many.")] = 20,
    state: Annotated[str, typer.Option(help=f"Only {', '.join(STATES)}.")] = "",
    view: Annotated[str, typer.Option(help="Only on this list, as product.")] = "",
    by: Annotated[str, typer.Option(help="Only those of this person.")] = "",
    before: Annotated[
        int | None, typer.Option(help="Only those older than the run of this number.")
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="With what was executed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print the newest runs, newest first; or one, or do something with it."""
    if number is not None:
        from backoffice.cli.steering import steer
        from backoffice.cli.trying import Manner

        manner = Manner(is_sure=yes, is_json=json)
        code = steer(context, number, asked, manner, limit=limit)
        if code:
            raise typer.Exit(code)
        return
    if state and state not in STATES:
        raise typer.BadParameter(f"--state is one of {', '.join(STATES)}.")
    from backoffice.admin.pages.all_runs import back_words
    from backoffice.bulk.batches import is_walked
    from backoffice.bulk.listing_runs import RunFilter, find_runs, taken_back
    from backoffice.cli.running import run_facts
    from backoffice.jobs.attendance import NOBODY, Attendance, attendance

    wanted = RunFilter(state=state, view=view, actor=by, before=before)
    with opened(context) as backoffice, transaction(context, backoffice) as session:
        newest = find_runs(session, wanted, limit)
        is_any = any(is_walked(one) for one in newest)
        workers = attendance(session) if is_any else Attendance()
        back = taken_back(session, newest)
        found = [
            {**run_facts(one, workers), "back": back_words(back.get(one.id))}
            for one in newest
        ]
        if view and not found:
            from backoffice.cli.acting import view_named
            from backoffice.web.app import create_app

            view_named(create_app(backoffice).state.site, view)
    if json:
        print_json(found)
        return
    if not found:
        is_narrow = wanted != RunFilter()
        print("No run is like this." if is_narrow else "Nothing was run yet.")
    if workers.is_missing:
        print(styled(NOBODY, YELLOW) + "\n")
    for one in found:
        _print(one, has_sql=sql)


def _print(one: dict[str, Any], *, has_sql: bool) -> None:
    changed = f"{one['changed']:,} of {one['total']:,} in {one['seconds']:.1f} s"
    at = one["at"][:16].replace("T", " ")
    print(f"{one['run']:>6}  {at}  {one['state']:<9}  {changed}  {one['action']}")
    print(f"        {one['by']}, {one['rows']}")
    told = ", ".join(f"{name}={text}" for name, text in one["told"].items())
    if told:
        print(f"        {told}")
    if one["back"]:
        print(f"        {one['back']}")
    if one["outcome"]:
        print(f"        {one['outcome']}")
    if one["reason"]:
        print(f"        {one['reason']}")
    if has_sql and one["sql"]:
        print("        " + one["sql"].strip().replace("\n", "\n        "))
