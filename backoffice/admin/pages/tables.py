"""Each table: how large, how it grows, what is dead in it, which index is idle."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from backoffice.admin.call import Page, Reply, address
from backoffice.admin.frame import frame
from backoffice.admin.house import file_facts, growth, signed, span_words
from backoffice.admin.indexes import indexes_view
from backoffice.admin.ops_answer import OpsCall
from backoffice.admin.pages.evidence import crumbs_of
from backoffice.admin.panels import at, ops_url, percentage, unread
from backoffice.admin.presentation import Link
from backoffice.admin.presentation_metrics import IndexesView, TableRow, TablesView
from backoffice.admin.readings import take_readings
from backoffice.admin.svg import Plot, plot
from backoffice.admin.words import number, plural, size
from backoffice.observability.growth import Size, Sizes, read_sizes
from backoffice.observability.housekeeping import TableFacts
from backoffice.observability.indexes_postgresql import (
    covered_question,
    unused_question,
)
from backoffice.observability.ops_connection import Reading

DAYS = 14
History = Mapping[str, Sequence[tuple[datetime, Size]]]


def show(call: OpsCall) -> Reply:
    """Sizes, growth, dead rows, last vacuum and analyze per model; settings at odds."""
    site = call.site
    begin = datetime.now(UTC) - timedelta(days=DAYS)

    def read(link: Connection) -> History:
        return read_sizes(link, since=begin)

    now = take_readings(call)
    history: Reading[History] = site.backoffice.ops.call(
        "sizes", read, deadline=call.left
    )
    indexes = _indexes(call) if site.backoffice.ops.is_postgresql else None
    reading, found = now.live.tables, now.contradictions
    tables = reading.value or ()
    before = site.backoffice.keeper.sizes_before
    url = ops_url(site, "tables")
    view = TablesView(
        rows=tuple(_row(call, one, before, history.value or {}) for one in tables),
        settings=tuple((one.text, one.fix) for one in found),
        unread=unread("Tables", reading, url),
        sub="rows as the planner knows them; sizes with what is stored aside",
        growth_head=f"In {span_words(before)}" if before else "Growth",
        growth_unread=unread("Their growth", history, url),
        indexes=indexes,
    )
    if now.live.file.value is not None:
        facts = file_facts(now.live.file.value, before)
        view = replace(
            view,
            sub=f"{reading.text}: neither rows nor sizes of one.",
            facts=tuple((name, cell.text) for name, cell, _ in facts),
        )
    whole = sum(table.size or 0 for table in tables)
    sub = f"{plural(len(tables), 'table')}, {size(whole)}" if tables else ""
    drawn = frame(call, title="Tables and settings", crumbs=crumbs_of(call), sub=sub)
    return Page("tables", view, drawn)


def _indexes(call: OpsCall) -> IndexesView:
    questions = (unused_question(), covered_question())
    found = call.site.backoffice.ops.ask(*questions, deadline=call.left)
    never, covered = (found[one.name] for one in questions)
    url = ops_url(call.site, "tables")
    return indexes_view(never, covered, lambda name: _link(call, name), url)


def _link(call: OpsCall, table: str) -> Link:
    """A table by the name of its list, which it leads to, where it has one."""
    view = call.site.view_of_table(table)
    if view is None:
        return Link(table, "")
    url = address(call.site.base_url, view.identity, "list")
    return Link(f"{view.name_plural} ({table})", url)


def _row(
    call: OpsCall, one: TableFacts, before: Sizes | None, history: History
) -> TableRow:
    then = before.tables.get(one.path) if before is not None else None
    grown = growth(one, before)
    more = 0
    if then is not None and then.rows is not None and one.rows is not None:
        more = one.rows - then.rows
    return TableRow(
        name=_link(call, one.name),
        rows="unknown" if one.rows is None else number(one.rows),
        more=f"{more:+,}".replace("-", "\N{MINUS SIGN}") if more else "",
        size="locked" if one.data_size is None else size(one.data_size),
        indexes="locked" if one.index_size is None else size(one.index_size),
        growth="no data yet" if grown is None else signed(grown),
        plot=_plot(history.get(one.path, ()), one),
        dead=number(one.dead),
        vacuumed=at(one.vacuumed.timestamp()).text if one.vacuumed else "never",
        analyzed=at(one.analyzed.timestamp()).text if one.analyzed else "never",
        key="" if one.key_used is None else f"{one.key} {percentage(one.key_used, 1)}",
        needs=one.needs,
    )


def _plot(history: Sequence[tuple[datetime, Size]], one: TableFacts) -> Plot | None:
    """The size day by day until now; None before there are two days."""
    now = datetime.now(UTC)
    days: list[float | None] = [None] * (DAYS + 1)
    for moment, then in history:
        place = DAYS - (now.date() - moment.astimezone(UTC).date()).days
        if 0 <= place <= DAYS and days[place] is None:
            days[place] = float(then.whole)
    if one.size is not None:
        days[DAYS] = float(one.size)
    known = [day for day in days if day is not None]
    if len(known) < 2:  # noqa: PLR2004 - one point is no line
        return None
    return plot(
        days,
        f"{one.name} over {DAYS} days, from {size(int(known[0]))} "
        f"to {size(int(known[-1]))}",
    )
