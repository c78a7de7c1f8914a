"""The metrics: is the pool healthy, what is slow, who runs it, what would mend it."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from backoffice.admin.call import Data, Page, Redirect, Reply, address
from backoffice.admin.frame import frame
from backoffice.admin.house import house, house_unread
from backoffice.admin.live_panel import live_panel
from backoffice.admin.metrics_data import metrics_data
from backoffice.admin.ops_answer import OpsCall
from backoffice.admin.panels import (
    at,
    finding_row,
    ops_url,
    percentage,
    pool_row,
    slow_row,
    statement_row,
    unread,
    view_row,
)
from backoffice.admin.places import place
from backoffice.admin.presentation import Action, Link, Message
from backoffice.admin.presentation_metrics import (
    NO_LINK,
    MetricsView,
    PoolRow,
    Tab,
)
from backoffice.admin.readings import Readings, hours, since, take_readings
from backoffice.admin.tiles import tiles
from backoffice.admin.verdict import verdict
from backoffice.admin.words import duration, number, plural, shortened
from backoffice.audit.recorder import add_entry
from backoffice.errors import NotPermitted
from backoffice.observability.brief import brief
from backoffice.observability.counters import StatementStats
from backoffice.observability.picture import Picture
from backoffice.observability.pool_health import Health

ORDERS = {
    "total": "Total time",
    "slowest": "Slowest",
    "frequent": "Most frequent",
    "failing": "Failing",
    "new": "New since migration",
}
REFRESH = 10
TOP, SLOW, VIEWS = 6, 5, 4


def note_of(order: str, view: str) -> str:
    """What of an address nobody knows: an order, a view; nothing if all is known."""
    words = []
    if order:
        words.append(
            f"There is no order {shortened(order, 40)!r}: they stand by total time."
        )
    if view:
        words.append(
            f"Nothing was asked for a view {shortened(view, 40)!r}: these are of all."
        )
    return " ".join(words)


def show(call: OpsCall) -> Reply:
    """The one small page."""
    asked = call.request.query_params.get("top", "total")
    order = asked if asked in ORDERS else "total"
    revision = None
    if order == "new":
        revision = call.site.backoffice.keeper.revision
    found = take_readings(call, revision=revision)
    if call.request.query_params.get("format") == "json":
        return Data(metrics_data(call.site, found))
    refresh = call.request.query_params.get("refresh", "")
    seconds = REFRESH if refresh == str(REFRESH) else 0
    url = ops_url(call.site)
    keep = {"top": order} if order != "total" else {}
    view = call.request.query_params.get("view", "")
    if view in {one.view for one in found.picture.views.values()}:
        keep["view"] = view
        view = ""
    again = (
        Action("Stand still", ops_url(call.site, **keep))
        if seconds
        else Action(
            f"Every {REFRESH} s", ops_url(call.site, **keep, refresh=str(REFRESH))
        )
    )
    here = ops_url(call.site, **keep, **({"refresh": refresh} if seconds else {}))
    now = datetime.now().astimezone()
    coverage = found.picture.coverage(call.site.backoffice.settings.web.processes)
    drawing = Drawing(call, found, order, keep.get("view", ""))
    drawing.note = note_of(asked if order != asked else "", view)
    shown = drawing.view(url)
    drawn = frame(
        call,
        title="Metrics",
        sub=f"{coverage} · {at(now.timestamp()).full}",
        crumbs=[Link("Operations", "")],
        actions=[Action("Refresh", here, "refresh"), again],
    )
    return Page("metrics", shown, replace(drawn, refresh=seconds))


def own_overhead(picture: Picture) -> str:
    """What observing has cost, and what it had to forget."""
    counted = picture.counted
    spent = sum(counted.overhead.values()) / 1e9
    part = percentage(spent, max(1.0, hours(picture) * 3600))
    words = (
        f"Observing has cost {duration(spent)} since {since(picture)}, "
        f"{part} of a processor, for {plural(counted.calls, 'statement')}."
    )
    if counted.evicted:
        words += f" {plural(counted.evicted, 'statement')} had to be forgotten."
    if counted.slow_dropped:
        words += f" {number(counted.slow_dropped)} slow ones were not written."
    reset = picture.reset
    if reset.at is not None:
        words += f" {reset.by} began the counting anew at {at(reset.at).text}."
    return words


class Drawing:
    """The parts of the page, each in words."""

    def __init__(self, call: OpsCall, found: Readings, order: str, of: str) -> None:
        self.of = of
        self.call = call
        self.site = call.site
        self.found = found
        self.picture = found.picture
        self.live = found.live
        self.order = order
        self.note = ""

    def view(self, url: str) -> MetricsView:
        """All of it."""
        statements = self.statements()
        findings = self.picture.attention(5)
        slow = self.live.slow.value or ()
        pools = self.pools()
        can_reset = self.call.has("ops:reset")
        return MetricsView(
            verdict=verdict(self.site, self.found),
            tiles=tiles(self.site, self.found, self.ordered_url),
            live=live_panel(self.site, self.found, self.call.signals),
            pools=pools,
            pools_sub=self.pools_sub(),
            holders_url=ops_url(self.site, "connections"),
            findings=tuple(
                finding_row(self.site, one, hours(self.picture)) for one in findings
            ),
            findings_sub="by database time that can be saved"
            if findings
            else (
                f"Nothing to mend in {plural(self.requests(), 'request')} "
                f"since {since(self.picture)}."
            ),
            findings_link=Link(
                f"All {plural(len(self.picture.findings), 'finding')}",
                ops_url(self.site, "findings"),
            )
            if self.picture.findings
            else NO_LINK,
            statements=statements,
            statements_empty=self.statements_empty(),
            statements_sub=self.statements_sub(),
            statements_unread=unread("New statements", self.live.new, url)
            if self.order == "new"
            else None,
            tabs=tuple(
                Tab(label, self.ordered_url(key), key == self.order)
                for key, label in ORDERS.items()
            ),
            views=tuple(
                view_row(self.site, one) for one in self.picture.top_views(VIEWS)
            ),
            views_sub=self.views_sub(),
            slow=tuple(
                slow_row(self.site, one)
                for one in slow[: SLOW - 1 if self.is_trouble else SLOW]
            ),
            slow_sub=self.slow_sub(),
            slow_empty=(
                "No slow statement yet; "
                f"{plural(self.picture.counted.calls, 'statement')} "
                f"seen since {since(self.picture)}."
            ),
            slow_link=Link("All", address(self.site.base_url, "slow-log", "list")),
            slow_unread=unread("The slow log", self.live.slow, url),
            house=house(
                self.site,
                self.live,
                self.found.contradictions,
                self.site.backoffice.keeper.sizes_before,
            ),
            house_link=Link("By model", ops_url(self.site, "tables")),
            house_unread=house_unread(self.live, url),
            note=self.call.note,
            statements_note=self.note,
            is_trouble=self.is_trouble,
            is_order_asked="top" in self.call.request.query_params,
            statements_lead=self.lead(),
            overhead=own_overhead(self.picture),
            json_url=ops_url(self.site, format="json"),
            reset_url=ops_url(self.site, "reset") if can_reset else "",
            meanings_url=ops_url(self.site, "checks"),
            every_view=Link("All views", self.ordered_url(self.order, of_all=True))
            if self.of
            else NO_LINK,
        )

    @property
    def is_trouble(self) -> bool:
        """Whether something is unhealthy: then its cause comes first."""
        return self.found.judgement.health is Health.UNHEALTHY

    def lead(self) -> str:
        """The leading statement in a line, for where the table is folded up."""
        whole = self.picture.total_ns()
        found = self.picture.top_statements("total", limit=1)
        if not found or not whole:
            return ""
        first = found[0]
        part = percentage(first.histogram.total, whole)
        words = brief(first.text, first.operation, first.table)
        return f"{part} of the time is {words}"

    def requests(self) -> int:
        """All requests that were looked at."""
        return sum(one.requests for one in self.picture.views.values())

    # -- pools

    def pools(self) -> tuple[PoolRow, ...]:
        """One row for each pool that is limited or in use."""
        processes = {one.pid: one for one in self.picture.processes}
        found = [
            one
            for one in self.picture.pools
            if one.name == "default" or one.checked_out
        ]
        found.sort(key=lambda one: -(one.utilization or 0.0))
        return tuple(
            pool_row(
                self.site,
                one,
                self.found.names.get(one.process, "process"),
                processes.get(one.process),
            )
            for one in found
        )

    def pools_sub(self) -> str:
        """What kind of pool it is."""
        settings = self.site.backoffice.settings.database
        if settings.pool == "null":
            return "NullPool: a connection for each use, no limit of its own"
        return (
            f"QueuePool, size {settings.pool_size}, overflow {settings.max_overflow}, "
            f"gives up after {settings.pool_timeout:g} s"
        )

    # -- statements

    def ordered_url(self, order: str, *, of_all: bool = False) -> str:
        """The page with its statements in this order; of all views, or of this one."""
        query = {"top": order} if order != "total" else {}
        if self.of and not of_all:
            query["view"] = self.of
        return ops_url(self.site, **query) + "#statements"

    def statements_sub(self) -> str:
        """Whose they are, and since when they are counted."""
        words = f"since {since(self.picture)}"
        return f"of {place(self.site, self.of, '')}, {words}" if self.of else words

    def views_sub(self) -> str:
        """How it is known what the server reads."""
        if not self.site.backoffice.ops.is_postgresql:
            return "by time; SQLite does not count the rows that it reads"
        looked = self.site.backoffice.settings.observability.sampled_reads * 100
        if not looked:
            return "by time; observability.sampled_reads is 0: nobody looks at reads"
        return f"by time; of {looked:.3g} % of their pages the rows read are looked at"

    def statements(self) -> tuple[Any, ...]:
        """The leading statements, in the order that was asked for."""
        whole = self.picture.total_ns()
        if self.order != "new":
            found = self.picture.top_statements(
                self.order, limit=TOP, view=self.of or None
            )
            return tuple(statement_row(self.site, one, whole) for one in found)
        rows = []
        for record in self.live.new.value or ():
            sums = self.picture.statement(record.fingerprint)
            one = sums[0] if sums else StatementStats(record.fingerprint, "")
            if not one.text:
                one.text, one.operation = record.text, record.operation
                one.table = record.table_name
            rows.append(statement_row(self.site, one, whole))
        return tuple(rows[:TOP])

    def statements_empty(self) -> str:
        """What an empty table means."""
        seen = plural(self.picture.counted.calls, "statement")
        if self.order == "failing":
            return f"None has failed; {seen} seen since {since(self.picture)}."
        if self.order == "new":
            return "None was seen first since the newest migration."
        return "No statement was seen yet."

    def slow_sub(self) -> str:
        """What counts as slow."""
        settings = self.site.backoffice.settings.observability
        return (
            f"{settings.slow_ms:g} ms, or {settings.slow_factor:g} times its own usual"
        )


def reset(call: OpsCall) -> Reply:
    """Begin counting anew, in all processes here; the totals of /metrics go on."""
    if not call.has("ops:reset"):
        raise NotPermitted("Resetting the counters is for administrators.")
    from sqlalchemy.orm import Session

    def write(link: Any) -> None:
        with Session(link) as session:
            add_entry(
                session,
                action="metrics_reset",
                label="the counters of the metrics page",
                actor=call.login.actor,
                view="metrics",
            )
            session.commit()

    noted = call.site.backoffice.ops.call("audit", write)
    why = "" if noted.is_fresh else "the history cannot be written"
    if noted.is_fresh:
        try:
            call.site.backoffice.keeper.snapshots.reset(call.login.actor.label)
        except OSError as error:
            why = f"the directory of the counters cannot be written ({error.strerror})"
    if why:
        return Redirect(
            ops_url(call.site), Message("bad", f"Nothing was reset: {why}.")
        )
    return Redirect(
        ops_url(call.site),
        Message("ok", "Counting has begun anew, in all processes of this machine."),
    )
