"""How is the database, in one line? What stands at the foot of the menu of ops."""

from time import monotonic
from typing import TYPE_CHECKING

from backoffice.admin.call import address
from backoffice.admin.panels import fullest, is_full
from backoffice.admin.presentation import Foot
from backoffice.admin.words import number, share
from backoffice.observability.pool import PoolStatus
from backoffice.observability.snapshots import read_pools

if TYPE_CHECKING:
    from backoffice.admin.site import Site

# The other processes' files are read at most so often.
READ_EVERY = 5.0
# Every page has the line; to add up a minute of waits for each would be half its work.
KEPT_FOR = 1.0


class FootLine:
    """The state of the fullest pool of all processes; asks no database."""

    def __init__(self, site: "Site") -> None:
        self.site = site
        self._others: list[PoolStatus] = []
        self._read_at = float("-inf")
        self._kept: tuple[float, Foot] | None = None

    def now(self) -> Foot:
        """The line, as of this second for this process."""
        now = monotonic()
        if self._kept is None or now - self._kept[0] > KEPT_FOR:
            self._kept = (now, self._line())
        return self._kept[1]

    def fullest(self) -> PoolStatus | None:
        """The pool that is used most, of all processes of this machine."""
        now = monotonic()
        keeper = self.site.backoffice.keeper
        if now - self._read_at > READ_EVERY:
            self._read_at = now
            snapshots = keeper.snapshots
            self._others = read_pools(snapshots.directory, but=snapshots.path.name)
        return fullest([*keeper.pools(), *self._others])

    def _line(self) -> Foot:
        status = self.fullest()
        url = address(self.site.base_url, "metrics")
        if status is None or status.max is None:
            return Foot("Metrics", "none", url)
        used = share(status.checked_out, status.max)
        waiting = f", {number(status.waiters)} wait" if status.waiters else ""
        if is_full(status) or status.recent_timeouts:
            return Foot(f"Pool {used}{waiting}", "bad", url)
        if waiting:
            return Foot(f"Pool {used}{waiting}", "warn", url)
        return Foot(f"Healthy, pool {used}", "ok", url)
