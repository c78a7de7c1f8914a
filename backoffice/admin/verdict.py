"""Is it healthy: what is wrong, since when, who causes it, and by which rule?"""

from typing import TYPE_CHECKING

from backoffice.admin.panels import (
    LONG_RUNNING,
    at,
    fullest,
    is_full,
    live_row,
    ops_url,
)
from backoffice.admin.places import place
from backoffice.admin.presentation import Link
from backoffice.admin.presentation_metrics import (
    NO_LINK,
    VerdictView,
)
from backoffice.admin.readings import Readings
from backoffice.admin.words import duration, plural, series, share
from backoffice.observability.judgement import names_of
from backoffice.observability.pool_health import Health, Verdict

if TYPE_CHECKING:
    from backoffice.admin.site import Site

LEVELS = {
    Health.HEALTHY: ("ok", "check"),
    Health.UNKNOWN: ("warn", "warn"),
    Health.WARNING: ("warn", "warn"),
    Health.UNHEALTHY: ("bad", "stop"),
}


def verdict(site: "Site", found: Readings) -> VerdictView:
    """What, how much, since when, what next."""
    judgement = found.judgement
    health = judgement.health
    unknown = judgement.of(Health.UNKNOWN)
    level, icon = LEVELS[health]
    if health is Health.HEALTHY and any(not one.is_calm for one in unknown):
        level, icon = LEVELS[Health.UNKNOWN]
    words, link = cause(site, found)
    return VerdictView(
        level=level,
        icon=icon,
        sentence=sentence(found),
        cause=words,
        cause_link=link,
        rests_on=rests_on(found, len(unknown)),
        checks_url=ops_url(site, "checks"),
    )


def sentence(found: Readings) -> str:
    """The first sentence."""
    judgement = found.judgement
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
        return f"Healthy since {at(begun).text}. All {checks} are within their limits."
    word = "Unhealthy" if worst.health is Health.UNHEALTHY else "Warning"
    is_lasting = worst.seconds >= 1 and not worst.is_past
    lasting = f" for {duration(worst.seconds)}" if is_lasting else ""
    return f"{word}{lasting}: {words_of(found, worst)}."


def words_of(found: Readings, verdict: Verdict) -> str:
    """A verdict as a person says it."""
    status = fullest(found.picture.pools)
    if verdict.is_past:
        return verdict.text
    if verdict.rule == "waits":
        status = max(
            (one for one in found.picture.pools if one.max is not None),
            key=lambda one: (one.recent_timeouts or 0, one.wait_p95_ms or 0.0),
            default=status,
        )
    if verdict.rule in {"utilization", "waiters", "waits"} and status is not None:
        name = found.names.get(status.process, "a process")
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


def cause(site: "Site", found: Readings) -> tuple[str, Link]:
    """Whom others wait for, if somebody stands in the way."""
    roots = [node for node in found.tree if node.is_root]
    if roots:
        root = roots[0]
        live = found.lives.get(root.pid)
        verb = "waits" if root.waiting == 1 else "wait"
        who = f"pid {root.pid}"
        if live is not None:
            row = live_row(site, live)
            who = f"{row.place} ({row.user or row.name}), {row.state}"
            who += f" for {row.lasting}" if row.lasting else ""
        return (
            f"{plural(root.waiting, 'session')} {verb} for one transaction:",
            Link(who, ops_url(site, "connection", str(root.pid))),
        )
    if found.judgement.health is Health.HEALTHY:
        return "", NO_LINK
    held = [
        holding
        for status in found.picture.pools
        if is_full(status)
        for holding in status.holders
        if holding.age >= LONG_RUNNING
    ]
    if not held:
        return "", NO_LINK
    oldest = max(held, key=lambda one: one.age)
    who = place(site, oldest.view, oldest.action) or "somebody unnamed"
    words = f"{who}{f', {oldest.user}' if oldest.user else ''}, {oldest.state}"
    held_words = plural(len(held), "connection")
    age = duration(oldest.age)
    return (
        f"{held_words} held for more than a second, the oldest for {age}:",
        Link(words, ops_url(site, "connections")),
    )


def rests_on(found: Readings, unknown: int) -> str:
    """The rule that decided, and how the other checks stand."""
    judgement = found.judgement
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
