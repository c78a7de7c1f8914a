"""Serve the site; nothing is migrated or seeded."""

import sys
from typing import Annotated

import typer

from backoffice.cli.project import opened, root_of
from backoffice.cli.terminal import YELLOW, styled, typed

GROUP = "Serve"


def run(
    context: typer.Context,
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, max=64, help="Server processes.")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start anew when a Python file changes.")
    ] = False,
) -> None:
    """Take the port, warn of what is due, and serve."""
    from backoffice.cli.site import address_of, serve, take_port, try_views
    from backoffice.database.migrations import pending
    from backoffice.settings import Settings, load_settings

    root = root_of(context)
    chosen = {"host": host, "port": port, "processes": processes}
    given = {key: value for key, value in chosen.items() if value is not None}
    loaded = load_settings(root)
    settings: Settings = loaded.model_copy(
        update={"web": loaded.web.model_copy(update=given)}
    )
    if not reload:  # it would wait for the mistake to be mended
        try_views(root)
    with take_port(settings.web) as listening, opened(context, kind="") as backoffice:
        if backoffice.notice:
            print(backoffice.notice)
        due = pending(backoffice.engine, backoffice.project)
        if due:
            warning = (
                f"{len(due)} migration{'s are' if len(due) > 1 else ' is'} due "
                f"({', '.join(one.id for one in due)}); `{typed('migrate')}` applies "
                f"{'them' if len(due) > 1 else 'it'}."
            )
            print(styled(warning, YELLOW, sys.stderr), file=sys.stderr)
        # The server has connections of its own.
        backoffice.engine.dispose()
        print(f"{settings.app.title} is at {address_of(settings)} (Ctrl-C stops it)")
        sys.stdout.flush()
        serve(root, settings, listening, reload=reload)
