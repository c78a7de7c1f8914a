"""How do saturation, latency, traffic and errors stand, now and in the last hour?"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from backoffice.admin.panels import (
    fullest,
    is_full,
    ms,
    ops_url,
)
from backoffice.admin.presentation_metrics import (
    Tile,
)
from backoffice.admin.readings import Readings
from backoffice.admin.svg import plot
from backoffice.admin.words import number, plural, share
from backoffice.observability.counters import Minute
from backoffice.observability.histogram import Histogram
from backoffice.observability.pool import HIGHEST_HEALTHY

if TYPE_CHECKING:
    from backoffice.admin.site import Site

# The address of the page with its statements in this order.
Ordered = Callable[[str], str]


def tiles(site: "Site", found: Readings, ordered_url: Ordered) -> tuple[Tile, ...]:
    """Saturation, latency, traffic, errors: now, and the last hour."""
    minutes = found.picture.last_minutes(time.time())
    return (
        saturation(site, found, minutes),
        latency(site, ordered_url, minutes),
        traffic(site, found, ordered_url, minutes),
        errors(site, found, ordered_url, minutes),
    )


def meaning(site: "Site", anchor: str) -> str:
    """Where it is explained what a number means."""
    return ops_url(site, "checks") + f"#{anchor}"


def saturation(site: "Site", found: Readings, minutes: list[Minute]) -> Tile:
    """How full the fullest pool is, and how long one waits for it."""
    status = fullest(found.picture.pools)
    peaks = [one.pool_peak for one in minutes]
    known = [peak for peak in peaks if peak is not None]
    if status is None or status.max is None:
        return Tile(
            "Fullest pool",
            meaning(site, "utilization"),
            number(sum(one.checked_out for one in found.picture.pools)),
            "in use, without a limit",
            None,
            "This kind of pool knows no share.",
        )
    tone = "bad" if is_full(status) else ""
    highest = max([*known, status.utilization or 0.0])
    name = found.names.get(status.process, "")
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
        meaning(site, "utilization"),
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
        ops_url(site, "connections"),
    )


def latency(site: "Site", ordered_url: Ordered, minutes: list[Minute]) -> Tile:
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
    slow = site.backoffice.settings.observability.slow_ms
    tone = "warn" if p95 is not None and p95 / 1e6 >= slow else ""
    return Tile(
        "Statement time, p95",
        meaning(site, "p95"),
        ms(p95 / 1e6) if p95 is not None else "none",
        "of 5 min",
        plot(values, "95th percentile over 60 minutes", tone=tone),
        line,
        tone,
        ordered_url("slowest"),
    )


def traffic(
    site: "Site", found: Readings, ordered_url: Ordered, minutes: list[Minute]
) -> Tile:
    """How many statements and requests there are."""
    values: list[float | None] = [
        float(one.calls) if one.calls or is_known(found, one) else None
        for one in minutes
    ]
    calls = sum(one.calls for one in minutes[-5:])
    requests = sum(one.requests for one in minutes[-5:])
    seconds = span(found, 5)
    rate = calls / seconds
    asked = sum(one.asked for one in minutes[-5:])
    each = f", {asked / requests:.1f} statements each" if requests else ""
    return Tile(
        "Statements",
        meaning(site, "statements"),
        f"{rate:.1f}" if rate < 10 else number(round(rate)),  # noqa: PLR2004
        "per second",
        plot(values, "Statements per minute over 60 minutes"),
        f"{requests / seconds:.1f} requests/s{each}",
        evidence_url=ordered_url("frequent"),
    )


def errors(
    site: "Site", found: Readings, ordered_url: Ordered, minutes: list[Minute]
) -> Tile:
    """What has failed."""
    values: list[float | None] = [
        float(one.errors) if one.calls or is_known(found, one) else None
        for one in minutes
    ]
    total = sum(one.errors for one in minutes)
    timeouts = sum(one.timeouts for one in minutes)
    pool = found.picture.pool_timeouts()
    recent = sum(one.errors for one in minutes[-5:])
    line = f"{recent} in 5 min, {plural(timeouts, 'timeout')}"
    if pool:
        line += f", {number(pool)} for want of a connection"
    tone = "warn" if recent else ""
    return Tile(
        "Errors",
        meaning(site, "errors"),
        number(total),
        "in 60 min",
        plot(values, f"Errors per minute over 60 minutes, {total} in all", tone=tone),
        line,
        tone,
        ordered_url("failing"),
    )


def is_known(found: Readings, minute: Minute) -> bool:
    """Whether somebody observed this minute at all."""
    begun = min((one.started for one in found.picture.processes), default=None)
    return begun is not None and minute.at >= int(begun // 60)


def span(found: Readings, minutes: int) -> float:
    """The seconds of the last minutes, no more than there were.

    Those who are gone have counted in them, too.
    """
    now = time.time()
    whole = (minutes - 1) * 60 + now % 60
    known = now - (found.picture.since or now)
    # A beginning that is still to come is of a clock that was set back.
    return max(1.0, min(whole, known)) if known > 0 else whole
