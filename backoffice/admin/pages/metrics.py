"""The metrics: is the pool healthy, what is slow, who runs it, what would mend it."""

import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from backoffice.admin.call import Data, Page, Redirect, Reply, address
from backoffice.admin.frame import frame
from backoffice.admin.house import house, house_unread
from backoffice.admin.metrics_data import metrics_data
from backoffice.admin.ops_answer import OpsCall, known_to_answer
from backoffice.admin.panels import (
    LONG_RUNNING,
    at,
    finding_row,
    fullest,
    hidden_note,
    holding_row,
    is_full,
    live_row,
    ms,
    ops_url,
    percentage,
    pool_row,
    process_names,
    slow_row,
    statement_row,
    tree_rows,
    unread,
    view_row,
)
from backoffice.admin.places import place
from backoffice.admin.presentation import Action, Link, Message
from backoffice.admin.presentation_metrics import (
    NO_LINK,
    LivePanel,
    LiveRow,
    MetricsView,
    PoolRow,
    Tab,
    Tile,
    VerdictView,
)
from backoffice.admin.svg import plot
from backoffice.admin.words import duration, number, plural, series, share, shortened
from backoffice.audit.recorder import add_entry
from backoffice.errors import NotPermitted
from backoffice.observability.activity import LockNode, Signal, lock_tree, with_holders
from backoffice.observability.brief import brief
from backoffice.observability.counters import Minute, StatementStats
from backoffice.observability.histogram import Histogram
from backoffice.observability.housekeeping import Contradiction
from backoffice.observability.judgement import Judgement, names_of
from backoffice.observability.live import LivePanels, read_live
from backoffice.observability.ops_connection import State
from backoffice.observability.picture import Picture
from backoffice.observability.pool import HIGHEST_HEALTHY
from backoffice.observability.pool_health import Health, Verdict

ORDERS = {
    "total": "Total time",
    "slowest": "Slowest",
    "frequent": "Most frequent",
    "failing": "Failing",
    "new": "New since migration",
}
REFRESH = 10
TOP, SLOW, ROWS, VIEWS = 6, 5, 6, 4
LEVELS = {
    Health.HEALTHY: ("ok", "check"),
    Health.UNKNOWN: ("warn", "warn"),
    Health.WARNING: ("warn", "warn"),
    Health.UNHEALTHY: ("bad", "stop"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything that one page stands on, read once."""

    picture: Picture
    live: LivePanels
    judgement: Judgement
    contradictions: tuple[Contradiction, ...]
    names: dict[int, str]
    tree: tuple[LockNode, ...]


def read_moment(call: OpsCall, *, revision: str | None = None) -> Moment:
    """Memory, the other processes' files, and the database within the deadline."""
    site = call.site
    backoffice = site.backoffice
    picture = backoffice.keeper.picture()
    database = known_to_answer(call)
    live = read_live(
        backoffice.ops, site.pulse.migrations, revision=revision, deadline=call.left
    )
    judging = backoffice.judging
    judgement = judging.judge(picture, live, database=database)
    site.foot.take(judgement)
    return Moment(
        picture=picture,
        live=live,
        judgement=judgement,
        contradictions=judging.contradictions(picture, live),
        names=process_names(picture),
        tree=lock_tree(live.activity.value or ()) if live.activity.is_fresh else (),
    )


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
    found = read_moment(call, revision=revision)
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


def acts_of(call: OpsCall) -> frozenset[Signal]:
    """Which ways to end a session the person has."""
    return frozenset(signal for signal in Signal if call.has(f"ops:{signal}"))


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


def since(picture: Picture) -> str:
    """When counting began: the processes that are gone have counted, too."""
    begun = picture.counted_since
    return at(begun).text if begun is not None else "the beginning"


def hours(picture: Picture) -> float:
    """For how long has been counted."""
    begun = picture.counted_since or time.time()
    return max(0.0, time.time() - begun) / 3600


class Drawing:
    """The parts of the page, each in words."""

    def __init__(self, call: OpsCall, found: Moment, order: str, of: str) -> None:
        self.of = of
        self.call = call
        self.site = call.site
        self.found = found
        self.picture = found.picture
        self.live = found.live
        self.order = order
        self.note = ""
        self.lives = {
            one.backend.pid: one
            for one in with_holders(self.live.activity.value or (), self.picture.pools)
        }

    def view(self, url: str) -> MetricsView:
        """All of it."""
        statements = self.statements()
        findings = self.picture.attention(5)
        slow = self.live.slow.value or ()
        pools = self.pools()
        can_reset = self.call.has("ops:reset")
        return MetricsView(
            verdict=self.verdict(),
            tiles=self.tiles(),
            live=self.live_panel(),
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

    # -- the verdict

    def verdict(self) -> VerdictView:
        """What, how much, since when, what next."""
        judgement = self.found.judgement
        health = judgement.health
        unknown = judgement.of(Health.UNKNOWN)
        level, icon = LEVELS[health]
        if health is Health.HEALTHY and any(not one.is_calm for one in unknown):
            level, icon = LEVELS[Health.UNKNOWN]
        cause, link = self.cause()
        return VerdictView(
            level=level,
            icon=icon,
            sentence=self.sentence(),
            cause=cause,
            cause_link=link,
            rests_on=self.rests_on(len(unknown)),
            checks_url=ops_url(self.site, "checks"),
        )

    def sentence(self) -> str:
        """The first sentence."""
        judgement = self.found.judgement
        worst = judgement.worst
        checks = plural(len(judgement.verdicts), "check")
        if judgement.health is Health.HEALTHY:
            begun = max((v.since or 0.0 for v in judgement.verdicts), default=0.0)
            unknown = len(judgement.of(Health.UNKNOWN))
            if unknown:
                fine = len(judgement.verdicts) - unknown
                return (
                    f"Healthy as far as can be seen: {fine} of {checks} are within "
                    f"their limits, {unknown} could not be made."
                )
            return (
                f"Healthy since {at(begun).text}. All {checks} are within their limits."
            )
        word = "Unhealthy" if worst.health is Health.UNHEALTHY else "Warning"
        is_lasting = worst.seconds >= 1 and not worst.is_past
        lasting = f" for {duration(worst.seconds)}" if is_lasting else ""
        return f"{word}{lasting}: {self.words_of(worst)}."

    def words_of(self, verdict: Verdict) -> str:
        """A verdict as a person says it."""
        status = fullest(self.picture.pools)
        if verdict.is_past:
            return verdict.text
        if verdict.rule == "waits":
            status = max(
                (one for one in self.picture.pools if one.max is not None),
                key=lambda one: (one.recent_timeouts or 0, one.wait_p95_ms or 0.0),
                default=status,
            )
        if verdict.rule in {"utilization", "waiters", "waits"} and status is not None:
            name = self.found.names.get(status.process, "a process")
            words = (
                f"uses {status.checked_out} of its {status.max} connections "
                f"({share(status.checked_out, status.max or 1)})"
            )
            if status.waiters:
                longest = duration(status.waiting_for or 0.0)
                verb = "waits" if status.waiters == 1 else "wait"
                words += f", {plural(status.waiters, 'request')} {verb}"
                words += f", the longest {longest}"
            if verdict.rule == "waits":
                # They have waited; the pool may well be empty by now.
                return f"{name}: {verdict.text}; now it {words}"
            return f"{name} {words}"
        if verdict.rule == "connection":
            return verdict.text
        return f"{names_of(verdict.rule).lower()}: {verdict.text}"

    def cause(self) -> tuple[str, Link]:
        """Whom others wait for, if somebody stands in the way."""
        roots = [node for node in self.found.tree if node.is_root]
        if roots:
            root = roots[0]
            live = self.lives.get(root.pid)
            verb = "waits" if root.waiting == 1 else "wait"
            who = f"pid {root.pid}"
            if live is not None:
                row = live_row(self.site, live)
                who = f"{row.place} ({row.user or row.name}), {row.state}"
                who += f" for {row.lasting}" if row.lasting else ""
            return (
                f"{plural(root.waiting, 'session')} {verb} for one transaction:",
                Link(who, ops_url(self.site, "connection", str(root.pid))),
            )
        if self.found.judgement.health is Health.HEALTHY:
            return "", NO_LINK
        held = [
            holding
            for status in self.picture.pools
            if is_full(status)
            for holding in status.holders
            if holding.age >= LONG_RUNNING
        ]
        if not held:
            return "", NO_LINK
        oldest = max(held, key=lambda one: one.age)
        who = place(self.site, oldest.view, oldest.action) or "somebody unnamed"
        words = f"{who}{f', {oldest.user}' if oldest.user else ''}, {oldest.state}"
        held_words = plural(len(held), "connection")
        age = duration(oldest.age)
        return (
            f"{held_words} held for more than a second, the oldest for {age}:",
            Link(words, ops_url(self.site, "connections")),
        )

    def rests_on(self, unknown: int) -> str:
        """The rule that decided, and how the other checks stand."""
        judgement = self.found.judgement
        if judgement.health is Health.HEALTHY and not unknown:
            names = [verdict.rule for verdict in judgement.verdicts]
            return f"{series(sorted(names)).capitalize()}."
        words = [
            f"{len(judgement.of(Health.HEALTHY))} checks are fine",
            *(
                f"{count} {word}"
                for count, word in (
                    (len(judgement.of(Health.UNHEALTHY)), "bad"),
                    (len(judgement.of(Health.WARNING)), "warn"),
                )
                if count
            ),
        ]
        if unknown:
            unmade = series([one.rule for one in judgement.of(Health.UNKNOWN)])
            words.append(f"{unknown} could not be made: {unmade}")
        return f"Rule: {judgement.worst.rule}. {', '.join(words)}."

    # -- the tiles

    def tiles(self) -> tuple[Tile, ...]:
        """Saturation, latency, traffic, errors: now, and the last hour."""
        minutes = self.picture.last_minutes(time.time())
        return (
            self.saturation(minutes),
            self.latency(minutes),
            self.traffic(minutes),
            self.errors(minutes),
        )

    def meaning(self, anchor: str) -> str:
        """Where it is explained what a number means."""
        return ops_url(self.site, "checks") + f"#{anchor}"

    def saturation(self, minutes: list[Minute]) -> Tile:
        """How full the fullest pool is, and how long one waits for it."""
        status = fullest(self.picture.pools)
        peaks = [one.pool_peak for one in minutes]
        known = [peak for peak in peaks if peak is not None]
        if status is None or status.max is None:
            return Tile(
                "Fullest pool",
                self.meaning("utilization"),
                number(sum(one.checked_out for one in self.picture.pools)),
                "in use, without a limit",
                None,
                "This kind of pool knows no share.",
            )
        tone = "bad" if is_full(status) else ""
        highest = max([*known, status.utilization or 0.0])
        name = self.found.names.get(status.process, "")
        waits = status.wait_p95_ms
        line = "nobody waited in 1 min" if waits is None else f"wait p95 {ms(waits)}"
        line += f", highest {share(highest, 1)}"
        if status.recent_timeouts:
            line = (
                f"wait p95 {ms(waits)}, {plural(status.recent_timeouts, 'timeout')}"
                " in 5 min"
            )
        return Tile(
            "Fullest pool",
            self.meaning("utilization"),
            share(status.checked_out, status.max),
            f"{status.checked_out} of {status.max}, {name}",
            plot(
                peaks,
                f"Pool in use over 60 minutes, highest {share(highest, 1)}",
                limit=HIGHEST_HEALTHY,
                top=1.0,
                tone=tone,
            ),
            line,
            tone,
            ops_url(self.site, "connections"),
        )

    def latency(self, minutes: list[Minute]) -> Tile:
        """How long statements take."""
        values = [
            (one.latency.quantile(0.95) or 0) / 1e6 if one.calls else None
            for one in minutes
        ]
        hour = Histogram()
        for one in minutes:
            hour.merge(one.latency)
        # Of the last minutes together: one alone may hold a handful of calls.
        newest = Histogram()
        for one in minutes[-5:]:
            newest.merge(one.latency)
        p50, p95, p99 = newest.quantiles((0.5, 0.95, 0.99))
        usual = hour.quantile(0.95)
        line = "no statement in 5 min"
        if p50 is not None and p99 is not None and usual is not None:
            line = f"p50 {ms(p50 / 1e6)}, p99 {ms(p99 / 1e6)}, in the hour "
            line += f"{ms(usual / 1e6)}"
        slow = self.site.backoffice.settings.observability.slow_ms
        tone = "warn" if p95 is not None and p95 / 1e6 >= slow else ""
        return Tile(
            "Statement time, p95",
            self.meaning("p95"),
            ms(p95 / 1e6) if p95 is not None else "none",
            "of 5 min",
            plot(values, "95th percentile over 60 minutes", tone=tone),
            line,
            tone,
            self.ordered_url("slowest"),
        )

    def traffic(self, minutes: list[Minute]) -> Tile:
        """How many statements and requests there are."""
        values: list[float | None] = [
            float(one.calls) if one.calls or self.is_known(one) else None
            for one in minutes
        ]
        calls = sum(one.calls for one in minutes[-5:])
        requests = sum(one.requests for one in minutes[-5:])
        span = self.span(5)
        rate = calls / span
        asked = sum(one.asked for one in minutes[-5:])
        each = f", {asked / requests:.1f} statements each" if requests else ""
        return Tile(
            "Statements",
            self.meaning("statements"),
            f"{rate:.1f}" if rate < 10 else number(round(rate)),  # noqa: PLR2004
            "per second",
            plot(values, "Statements per minute over 60 minutes"),
            f"{requests / span:.1f} requests/s{each}",
            evidence_url=self.ordered_url("frequent"),
        )

    def errors(self, minutes: list[Minute]) -> Tile:
        """What has failed."""
        values: list[float | None] = [
            float(one.errors) if one.calls or self.is_known(one) else None
            for one in minutes
        ]
        total = sum(one.errors for one in minutes)
        timeouts = sum(one.timeouts for one in minutes)
        pool = self.picture.pool_timeouts()
        recent = sum(one.errors for one in minutes[-5:])
        line = f"{recent} in 5 min, {plural(timeouts, 'timeout')}"
        if pool:
            line += f", {number(pool)} for want of a connection"
        tone = "warn" if recent else ""
        return Tile(
            "Errors",
            self.meaning("errors"),
            number(total),
            "in 60 min",
            plot(
                values, f"Errors per minute over 60 minutes, {total} in all", tone=tone
            ),
            line,
            tone,
            self.ordered_url("failing"),
        )

    def is_known(self, minute: Minute) -> bool:
        """Whether somebody observed this minute at all."""
        begun = min((one.started for one in self.picture.processes), default=None)
        return begun is not None and minute.at >= int(begun // 60)

    def span(self, minutes: int) -> float:
        """The seconds of the last minutes, no more than there were.

        Those who are gone have counted in them, too.
        """
        now = time.time()
        whole = (minutes - 1) * 60 + now % 60
        known = now - (self.picture.since or now)
        # A beginning that is still to come is of a clock that was set back.
        return max(1.0, min(whole, known)) if known > 0 else whole

    def requests(self) -> int:
        """All requests that were looked at."""
        return sum(one.requests for one in self.picture.views.values())

    # -- live now

    def live_panel(self) -> LivePanel:
        """What runs long, waits or stands idle; the cause first."""
        reading = self.live.activity
        url = ops_url(self.site, "connections")
        if not reading.is_fresh:
            return self.held_panel(url)
        backends = reading.value or ()
        acts = acts_of(self.call)
        rows = tree_rows(self.site, self.found.tree, self.lives, acts=acts)
        shown = {node.pid for node in self.found.tree}
        for backend in backends:
            lasting = backend.running if backend.state == "active" else backend.in_state
            is_quiet = backend.state == "idle" or (lasting or 0) < LONG_RUNNING
            if backend.pid in shown or is_quiet or not backend.state:
                continue
            rows.append(live_row(self.site, self.lives[backend.pid], acts=acts))
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
        words = "the cause first, then who waits for it" if self.found.tree else ""
        return LivePanel(
            "Live now", words, tuple(rows[:ROWS]), more, everything, unseen
        )

    def held_panel(self, url: str) -> LivePanel:
        """Without the server's word: who holds our connections, from memory."""
        rows: list[LiveRow] = []
        for status in self.picture.pools:
            name = self.found.names.get(status.process, "")
            rows.extend(
                holding_row(self.site, one, name)
                for one in status.holders
                if one.age >= LONG_RUNNING
            )
        more = (Link(f"{len(rows) - ROWS} more", url),) if len(rows) > ROWS else ()
        sentence = "connections held for more than a second, from memory"
        if not rows:
            sentence = "Nobody holds a connection of ours for more than a second."
        if self.live.activity.state is State.NOT_HERE:
            sentence = (
                f"{self.live.activity.text}. {sentence[:1].upper()}{sentence[1:]}"
            )
        return LivePanel(
            "Live now",
            sentence,
            tuple(rows[:ROWS]),
            more,
            Link("Who holds what", url),
            unread("Sessions and locks", self.live.activity, ops_url(self.site)),
        )

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
