"""Show the statements that were slow or that failed, the newest last.

The same as the slow log on the metrics page; values are in neither. --follow waits for
more until Ctrl-C, --json prints one document a line, for machines.
"""

import json as encoder
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from backoffice.cli.project import opened
from backoffice.cli.terminal import DIM, RED, styled

if TYPE_CHECKING:
    from backoffice.bootstrap import Backoffice
    from backoffice.observability.slow_log import SlowEntry

GROUP = "Look"
EVERY = 1.0
AT_ONCE = 200
WIDEST = 60
# What runs statements and is no list.
OTHERS = ("site", "command", "runs")


def run(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many of the newest.")
    ] = 20,
    view: Annotated[
        str | None, typer.Option(help="Only those of this view, as `student`.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for more; Ctrl-C ends.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print what is there, then what comes."""
    from backoffice.observability.slow_log import newest_id, read_slow

    pause = threading.Event()
    with opened(context, kind="") as backoffice:
        newest = None
        while True:
            with backoffice.ops.engine.connect() as connection:
                # Asked first: what is written meanwhile is printed at the next turn.
                highest = newest_id(connection)
                found = read_slow(
                    connection,
                    limit=limit if newest is None else AT_ONCE,
                    after_id=newest,
                    view=view,
                )
            if view is not None and newest is None and not found:
                _check_name(backoffice, view)
            for entry in reversed(found):
                print(encoder.dumps(entry.to_json()) if json else line(entry))
            newest = max([highest, *(entry.id for entry in found)])
            if not follow:
                break
            try:
                pause.wait(EVERY)
            except KeyboardInterrupt:
                return
    if not found and not json:
        of = "" if view is None else f" of a view {view!r}"
        print(styled(f"Nothing{of} was slow, and nothing{of} has failed.", DIM))


def _check_name(backoffice: "Backoffice", view: str) -> None:
    """Say of a typo what there is; `site` and others are no lists and have calls."""
    from backoffice.cli.acting import view_named
    from backoffice.web.app import create_app

    if view not in OTHERS:
        view_named(create_app(backoffice).state.site, view)


def line(entry: "SlowEntry") -> str:
    """One entry: when, how long, where, who, how it ended, and what it was."""
    parts = "+".join(
        f"{value:.0f}"
        for value in (entry.wait_ms, entry.execute_ms, entry.fetch_ms, entry.commit_ms)
    )
    place = " ".join(filter(None, [entry.view, entry.action])) or "-"
    end = styled(f"{entry.reason} {entry.error}", RED) if entry.error else entry.reason
    count = entry.row_count
    rows = "" if count is None else f", {count:,} row{'' if count == 1 else 's'}"
    text = entry.text if len(entry.text) <= WIDEST else entry.text[: WIDEST - 1] + "…"
    return (
        f"{entry.at.astimezone():%d %b %H:%M:%S}  {entry.total_ms:>8,.0f} ms ({parts})"
        f"  {place}  {entry.actor_label or '-'}  {end}{rows}"
        f"  {styled(entry.fingerprint, DIM)}  {text}"
    )
