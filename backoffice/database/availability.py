"""Is the database there yet? Who starts beside it waits for it."""

import time
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from backoffice.errors import DatabaseUnavailable

_POLL_SECONDS = 0.5


def wait_for_database(
    engine: Engine, seconds: float, report: Callable[[str], None]
) -> None:
    """Return as soon as there is a connection; say once that there is none yet.

    Raises:
        DatabaseUnavailable: there was none within so many seconds.
    """
    if not seconds or engine.dialect.name == "sqlite":
        return  # a file is there or is made
    give_up_at = time.monotonic() + seconds
    is_told = False
    while True:
        try:
            with engine.connect():
                return
        except OperationalError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            left = give_up_at - time.monotonic()
            if left <= 0:
                raise DatabaseUnavailable(
                    f"No connection to the database within {seconds:g} seconds: "
                    f"{reason}"
                ) from None  # with a cause, commands would tell that one in its place
        if not is_told:
            report(f"Waiting for the database: {reason}")
            is_told = True
        time.sleep(min(_POLL_SECONDS, left))
