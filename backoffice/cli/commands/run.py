"""Do all it takes and serve: database, tables, demo, accounts. Or run an action.

Without arguments this is `make run`. With a database of your own
(BACKOFFICE_DATABASE__URL) nothing is migrated or seeded unasked: it says which command
would.

With VIEW and ACTION an action is run on the records that --query chooses, as the list
would (--query '' is all of them). First it shows what would happen, tried and rolled
back; then it asks. Many records are done by a worker, or here where none is there.
"""

from typing import Annotated

import typer

GROUP = "Serve"


def run(
    context: typer.Context,
    view: Annotated[str, typer.Argument(help="A list, as product.")] = "",
    action: Annotated[str, typer.Argument(help="What to do, as raise-prices.")] = "",
    *,
    query: Annotated[
        str | None,
        typer.Option(help="Which records, as 'search=ann&status=active'."),
    ] = None,
    told: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="What the action asks for."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would happen.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Serve; or, with a view and an action, do that and end."""
    if not view:
        if query is not None or told or dry_run or yes or json:
            raise typer.BadParameter("options are for VIEW and ACTION.")
        from backoffice.cli.first_start import start_and_serve

        start_and_serve(context)
        return
    from backoffice.cli.acting import Wanted, act
    from backoffice.cli.trying import Manner

    wanted = Wanted(
        view,
        action,
        query,
        told or (),
        Manner(is_dry=dry_run, is_sure=yes, is_json=json),
    )
    code = act(context, wanted)
    if code:
        raise typer.Exit(code)
