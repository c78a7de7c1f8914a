"""How is it, in one line? What stands at the foot of the menu of ops.

It is the verdict of the metrics page, in short: judged every few seconds, and by
every metrics page that is opened.
"""

from time import monotonic
from typing import TYPE_CHECKING

from backoffice.admin.call import address
from backoffice.admin.panels import fullest
from backoffice.admin.presentation import Foot
from backoffice.admin.words import plural, share
from backoffice.observability.judgement import Judgement, in_order, names_of
from backoffice.observability.pool import PoolStatus
from backoffice.observability.pool_health import Health, Verdict, judge_pool
from backoffice.observability.snapshots import read_pools

if TYPE_CHECKING:
    from backoffice.admin.site import Site

# The other processes' files are read at most so often.
READ_EVERY = 5.0
# Every page has the line; to add up a minute of waits for each would be half its work.
KEPT_FOR = 1.0
# A verdict that nobody has made anew for so long is of another time.
OLD = 30.0
TONES = {
    Health.HEALTHY: "ok",
    Health.UNKNOWN: "warn",
    Health.WARNING: "warn",
    Health.UNHEALTHY: "bad",
}


class FootLine:
    """The verdict, and how full the fullest pool is; asks no database."""

    def __init__(self, site: "Site") -> None:
        self.site = site
        self._others: list[PoolStatus] = []
        self._read_at = float("-inf")
        self._kept: tuple[float, Foot] | None = None

    def now(self) -> Foot:
        """The line, as of this second for this process."""
        now = monotonic()
        if self._kept is None or now - self._kept[0] > KEPT_FOR:
            self._kept = (now, self._line(self._judged(), self._pools(now)))
        return self._kept[1]

    def take(self, judgement: Judgement) -> None:
        """Say what the page beside it says."""
        now = monotonic()
        self._kept = (now, self._line(judgement, self._pools(now)))

    def fullest(self) -> PoolStatus | None:
        """The pool that is used most, of all processes of this machine."""
        return fullest(self._pools(monotonic()))

    def _pools(self, now: float) -> list[PoolStatus]:
        keeper = self.site.backoffice.keeper
        if now - self._read_at > READ_EVERY:
            self._read_at = now
            snapshots = keeper.snapshots
            self._others = read_pools(snapshots.directory, but=snapshots.path.name)
        return [*keeper.pools(), *self._others]

    def _judged(self) -> Judgement | None:
        last = self.site.backoffice.judging.standing.last()
        if last is None or last.age > OLD:
            return None
        return Judgement(in_order(last.verdicts))

    def _line(self, judgement: Judgement | None, pools: list[PoolStatus]) -> Foot:
        url = address(self.site.base_url, "metrics")
        status = fullest(pools)
        used = ""
        if status is not None and status.max is not None:
            used = f"pool {share(status.checked_out, status.max)}"
        full = [
            verdict
            for pool in pools
            for verdict in judge_pool(pool)
            if verdict.rule == "utilization" and verdict.health is Health.UNHEALTHY
        ]
        if judgement is None:
            if full:
                return Foot(used[:1].upper() + used[1:], "bad", url)
            words = f"Not judged yet, {used}" if used else "Not judged yet"
            return Foot(words, "none", url)
        # A pool that filled up since then is known already.
        judgement = Judgement(in_order([*full, *judgement.verdicts]))
        tone = TONES[judgement.health]
        if judgement.health in (Health.HEALTHY, Health.UNKNOWN):
            unknown = sum(not one.is_calm for one in judgement.of(Health.UNKNOWN))
            if unknown:
                made = f"{plural(unknown, 'check')} not made"
                return Foot(", ".join(filter(None, [made, used])), "warn", url)
            return Foot(", ".join(filter(None, ["Healthy", used])), tone, url)
        return Foot(self._words(judgement.worst, used), tone, url)

    @staticmethod
    def _words(worst: Verdict, used: str) -> str:
        word = worst.health.word.capitalize()
        if worst.rule == "utilization" and used:
            return f"{word}: {used}"
        return f"{word}: {names_of(worst.rule).lower()}"
