"""What should be tidied up in the database: a few facts in words."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backoffice.admin.panels import at, ops_url, unread
from backoffice.admin.presentation import Cell
from backoffice.admin.presentation_metrics import HouseFact, Unread
from backoffice.admin.words import duration, plural, share, size
from backoffice.observability.growth import WHOLE, Sizes
from backoffice.observability.housekeeping import (
    DEAD_ROWS,
    Contradiction,
    ServerFacts,
    TableFacts,
)
from backoffice.observability.housekeeping_sqlite import SqliteFacts
from backoffice.observability.live import LivePanels
from backoffice.observability.ops_connection import STATEMENT_LIMIT, Reading, State

if TYPE_CHECKING:
    from backoffice.admin.site import Site

# What it is, its words, and where the checks and meanings explain it.
Facts = list[tuple[str, Cell, str]]


def house(
    site: "Site",
    live: LivePanels,
    contradictions: Sequence[Contradiction],
    before: Sizes | None,
) -> tuple[HouseFact, ...]:
    """The facts; what is wrong among them leads on, what is old is dated."""
    url = ops_url(site, "tables")
    facts: Facts = []
    if live.server.value is not None:
        facts.extend(dated(_of_server(live.server.value, before), live.server))
    if live.file.value is not None:
        facts.extend(dated(file_facts(live.file.value, before), live.file))
    if live.tables.value is not None:
        facts.extend(dated(_of_tables(live.tables.value, before, url), live.tables))
    cell = Cell("none", "muted")
    if not (live.server.is_fresh or live.file.is_fresh):
        cell = Cell("unknown: the database's own could not be read", "muted")
    if contradictions:
        cell = Cell(contradictions[0].text, "link", url)
    facts.append(("Settings at odds", cell, "settings"))
    checks = ops_url(site, "checks")
    return tuple(
        HouseFact(name, cell, f"{checks}#{anchor}" if anchor else "")
        for name, cell, anchor in facts
    )


def dated(facts: Facts, reading: Reading[Any]) -> Facts:
    """The facts, with the time that they are of where that is not now."""
    if reading.is_fresh or reading.at is None:
        return facts
    when = f", as of {at(reading.at).text}"
    return [
        (name, cell._replace(text=cell.text + when), anchor)
        for name, cell, anchor in facts
    ]


def house_unread(live: LivePanels, url: str) -> tuple[Unread, ...]:
    """What of it could not be read."""
    limit = f" Its limit is {duration(STATEMENT_LIMIT)}."
    found = (
        unread("Server and settings", live.server, url),
        unread("File and settings", live.file, url),
        unread("Table sizes, dead rows", live.tables, url),
    )
    return tuple(
        Unread(one.what, one.why, one.last + limit, one.retry_url)
        if one.why.startswith(State.TIMED_OUT)
        else one
        for one in found
        if one is not None
    )


def _of_server(one: ServerFacts, before: Sizes | None) -> Facts:
    grown = grown_words(WHOLE, one.size, before) or "growth not known yet"
    words = f"{size(one.size)}, {grown}; PostgreSQL {one.version}"
    hit = one.hit_share
    text = "too little was read to tell" if hit is None else share(hit, 1)
    used = f"{one.connections} of {one.usable_connections}"
    if one.hidden:
        used = f"at most {used}; {one.hidden} of them of other roles"
    return [
        ("Database", Cell(words), "growth"),
        ("Connections", Cell(used), "server-connections"),
        ("Found in memory", Cell(text, "text" if hit else "muted"), "memory"),
    ]


def file_facts(one: SqliteFacts, before: Sizes | None) -> Facts:
    """What SQLite says of its file."""
    grown = grown_words(WHOLE, one.size - one.unused, before) or "growth not known yet"
    words = f"{size(one.size)}, {grown}"
    unused = size(one.unused) if one.unused else "nothing"
    return [
        ("Database", Cell(f"{words}; SQLite {one.version}"), "growth"),
        ("Unused in the file", Cell(unused, "text" if one.unused else "muted"), ""),
        ("Journal", Cell(one.journal_mode.upper()), "settings"),
    ]


def _of_tables(tables: Sequence[TableFacts], before: Sizes | None, url: str) -> Facts:
    facts: Facts = []
    if tables and tables[0].size is not None:
        words = f"{tables[0].name}, {size(tables[0].size)}"
        facts.append(("Largest table", Cell(words), "growth"))
    fastest = max(tables, key=lambda one: growth(one, before) or 0, default=None)
    if fastest is not None and (growth(fastest, before) or 0) > 0:
        words = grown_words(fastest.path, fastest.size or 0, before)
        facts.append(("Grows most", Cell(f"{fastest.name}, {words}"), "growth"))
    many = [one for one in tables if one.dead >= DEAD_ROWS]
    cell = Cell("few", "muted")
    if many:
        most = max(many, key=lambda one: one.dead)
        words = f"{most.name}, {share(most.dead_share, 1)}"
        if most.vacuumed is not None:
            words += f", vacuumed {at(most.vacuumed.timestamp()).text}"
        cell = Cell(words)
    facts.append(("Dead rows", cell, "tables"))
    ends = [one for one in tables if one.is_running_out]
    needy = [one for one in tables if one.needs and one not in ends]
    for name, some, anchor in (
        ("Vacuum or analyze due", needy, "tables"),
        ("Keys running out", ends, "keys"),
    ):
        cell = Cell("none", "muted")
        if some:
            cell = Cell(plural(len(some), "table"), "link", url)
        facts.append((name, cell, anchor))
    return facts


def growth(one: TableFacts, before: Sizes | None) -> int | None:
    """The bytes by which a table grew; None where that is not known."""
    then = before.tables.get(one.path) if before is not None else None
    return None if then is None or one.size is None else one.size - then.whole


def grown_words(name: str, now: int, before: Sizes | None) -> str:
    """By how much something grew or shrank, and in which time; "" if not known."""
    then = before.tables.get(name) if before is not None else None
    if then is None or before is None:
        return ""
    return f"{signed(now - then.whole)} in {span_words(before)}"


def span_words(before: Sizes) -> str:
    """The time that has passed since."""
    return duration(max(0.0, (datetime.now(UTC) - before.at).total_seconds()))


def signed(bytes_more: int) -> str:
    """A size with its sign: +16.4 kB, or that there is no change."""
    if not bytes_more:
        return "unchanged"
    sign = "+" if bytes_more > 0 else "\N{MINUS SIGN}"
    return f"{sign}{size(abs(bytes_more))}"
