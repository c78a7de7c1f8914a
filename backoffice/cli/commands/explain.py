"""Say what the database would do for a list, or for a statement of the slow log.

With --view and --query: the statements of exactly that page of a list, caught without
being sent. With FINGERPRINT: a statement that was seen before, for any values. Nothing
is run, unless --measure says so; then only what reads, under a role of its own.
"""

from typing import Annotated

import typer

GROUP = "Look"


def run(
    context: typer.Context,
    fingerprint: Annotated[
        str, typer.Argument(help="A statement's name in the slow log.")
    ] = "",
    *,
    view: Annotated[str, typer.Option(help="The list to explain, as student.")] = "",
    query: Annotated[
        str, typer.Option(help="Its query string, as 'search=ann&status=active'.")
    ] = "",
    measure: Annotated[
        bool, typer.Option("--measure", help="Run the statements that read.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Explain, keep the report, and print it."""
    if bool(fingerprint) == bool(view):
        raise typer.BadParameter("give either a FINGERPRINT or --view.")
    from backoffice.cli.explaining import Asked, explain

    explain(context, Asked(fingerprint, view, query, measure, json))
