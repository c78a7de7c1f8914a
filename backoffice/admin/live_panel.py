"""What runs now: which sessions run long, wait or stand idle, and who is the cause?"""

from typing import TYPE_CHECKING

from backoffice.admin.panels import (
    LONG_RUNNING,
    hidden_note,
    holding_row,
    live_row,
    ops_url,
    tree_rows,
    unread,
)
from backoffice.admin.presentation import Link
from backoffice.admin.presentation_metrics import (
    LivePanel,
    LiveRow,
)
from backoffice.admin.readings import Readings
from backoffice.admin.words import plural
from backoffice.observability.activity import Signal
from backoffice.observability.ops_connection import State

if TYPE_CHECKING:
    from backoffice.admin.site import Site

ROWS = 6


def live_panel(site: "Site", found: Readings, acts: frozenset[Signal]) -> LivePanel:
    """What runs long, waits or stands idle; the cause first."""
    reading = found.live.activity
    url = ops_url(site, "connections")
    if not reading.is_fresh:
        return held_panel(site, found, url)
    backends = reading.value or ()
    rows = tree_rows(site, found.tree, found.lives, acts=acts)
    shown = {node.pid for node in found.tree}
    for backend in backends:
        lasting = backend.running if backend.state == "active" else backend.in_state
        is_quiet = backend.state == "idle" or (lasting or 0) < LONG_RUNNING
        if backend.pid in shown or is_quiet or not backend.state:
            continue
        rows.append(live_row(site, found.lives[backend.pid], acts=acts))
    everything = Link(f"All {plural(len(backends), 'session')}", url)
    unseen = hidden_note(backends)
    if not rows:
        return LivePanel(
            "Live now",
            "Of the sessions that can be seen none runs longer than 1 s."
            if unseen
            else "Nothing runs longer than 1 s, nobody waits for a lock, "
            "no transaction stands idle.",
            all_link=everything,
            unread=unseen,
        )
    more: tuple[Link, ...] = ()
    if len(rows) > ROWS:
        more = (Link(f"{len(rows) - ROWS} more", url),)
    words = "the cause first, then who waits for it" if found.tree else ""
    return LivePanel("Live now", words, tuple(rows[:ROWS]), more, everything, unseen)


def held_panel(site: "Site", found: Readings, url: str) -> LivePanel:
    """Without the server's word: who holds our connections, from memory."""
    rows: list[LiveRow] = []
    for status in found.picture.pools:
        name = found.names.get(status.process, "")
        rows.extend(
            holding_row(site, one, name)
            for one in status.holders
            if one.age >= LONG_RUNNING
        )
    more = (Link(f"{len(rows) - ROWS} more", url),) if len(rows) > ROWS else ()
    sentence = "connections held for more than a second, from memory"
    if not rows:
        sentence = "Nobody holds a connection of ours for more than a second."
    if found.live.activity.state is State.NOT_HERE:
        sentence = f"{found.live.activity.text}. {sentence[:1].upper()}{sentence[1:]}"
    return LivePanel(
        "Live now",
        sentence,
        tuple(rows[:ROWS]),
        more,
        Link("Who holds what", url),
        unread("Sessions and locks", found.live.activity, ops_url(site)),
    )
