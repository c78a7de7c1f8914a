"""Who is in the way of a save that waits? Asked while it waits, for the answer after.

The save's own connection is busy waiting: the ops connection asks, once, two seconds
after the save has begun. A save that does not wait that long costs a timer.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from backoffice.admin.call import Call
from backoffice.admin.words import duration
from backoffice.errors import LockNotAvailable
from backoffice.observability.activity import Live, read_blockers, with_holders
from backoffice.observability.pool import backend_pid

if TYPE_CHECKING:
    from backoffice.admin.site import Site

ASKED_AFTER = 2.0
# The save may end while the question is on its way; so long its answer is waited for.
ANSWERED_WITHIN = 0.5
# Of a shorter limit there must be some time left to ask in.
SHARE = 0.6


@contextmanager
def told_who_is_in_the_way(call: Call) -> Iterator[None]:
    """Let a lock that cannot be had say who has it, as far as that may be known."""
    watch = _Watch(call)
    watch.start()
    try:
        yield
    except LockNotAvailable as error:
        words = watch.words()
        raise LockNotAvailable(words or str(error)) from error
    finally:
        watch.stop()


class _Watch:
    """One question, asked later, unless it is not needed any more."""

    def __init__(self, call: Call) -> None:
        self.site: Site = call.site
        self.found: tuple[Live, ...] = ()
        self.is_asking = False
        limit = self.site.backoffice.settings.database.lock_timeout
        after = min(ASKED_AFTER, limit * SHARE) if limit else ASKED_AFTER
        connection = call.session.connection()
        proxied = connection.connection
        info = connection.info
        self.pid = backend_pid(proxied.driver_connection, info)
        self.timer = threading.Timer(after, self.ask)
        self.timer.daemon = True

    def start(self) -> None:
        """Begin to wait, where there is a server to ask."""
        if self.pid is not None:
            self.timer.start()

    def stop(self) -> None:
        """Not needed any more."""
        self.timer.cancel()

    def ask(self) -> None:
        """Ask whom the connection waits for; whatever goes wrong, nobody is named."""
        assert self.pid is not None  # noqa: S101 - `start` has looked
        self.is_asking = True
        with suppress(Exception):
            backoffice = self.site.backoffice
            reading = read_blockers(backoffice.ops, self.pid)
            pools = backoffice.keeper.picture().pools
            self.found = with_holders(reading.value or (), pools)

    def words(self) -> str:
        """A sentence that names them; "" where nobody could be asked."""
        if self.is_asking:
            self.timer.join(ANSWERED_WITHIN)
        if not self.found:
            return ""
        first = self.found[0]
        holding, backend = first.holding, first.backend
        who = holding.user if holding is not None else ""
        view = self.site.view_called((holding.view if holding else "") or backend.view)
        lasting = backend.in_transaction
        since = f" for {duration(lasting)}" if lasting is not None else ""
        where = f" in {view.name_plural}" if view is not None else ""
        more = f", and {len(self.found) - 1} more wait" if len(self.found) > 1 else ""
        return (
            f"{who or 'Somebody else'} has been writing this{where}{since}{more}. "
            "Nothing was saved; all that you typed is here. Try again in a moment."
        )
