"""A Python prompt with the models, a session and the engine at hand.

Names: every model, `session`, `engine`, `settings`, `select`, `func`, `text`. What the
session writes is audited in your name and stands after `session.commit()`. Code can
also come from -c or from the standard input; its return code is ours.
"""

from typing import Annotated

import typer

GROUP = "Develop"


def run(
    context: typer.Context,
    *,
    command: Annotated[
        str | None, typer.Option("-c", "--command", help="Run this code and end.")
    ] = None,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help="Take everything back at the end."),
    ] = False,
) -> None:
    """Run the code, or read it from whoever is there."""
    from backoffice.cli.interpreter import interpret

    interpret(context, command, is_sandbox=sandbox)
