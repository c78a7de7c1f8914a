"""Is a pooled connection still alive? Asked without asking the server each time.

SQLAlchemy's ping is a statement before every use, which takes as long as a quick
query. But a server that has gone, was restarted or has ended the connection has said
so: something lies unread on the connection's socket. What says nothing is a network
that drops packets, and for that the ping is still sent from time to time.
"""

import select
from collections.abc import Callable
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import OperationalError
from sqlalchemy import Engine

# So long a silent connection is believed without a ping, in seconds.
BELIEVED = 10.0


def ping_seldom_psycopg(engine: Engine, believed: float = BELIEVED) -> None:
    """Let the engine's pre-ping look at the socket, and ask the server now and then.

    What lies on the socket may be a mere notice: then the ping itself decides.
    """
    ask: Callable[[Any], bool] = engine.dialect.do_ping
    asked: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def is_alive(dbapi_connection: Any) -> bool:
        now = monotonic()
        last = asked.get(dbapi_connection)
        is_recent = last is not None and now - last < believed
        if is_recent and is_silent(dbapi_connection):
            return True
        alive = ask(dbapi_connection)
        asked[dbapi_connection] = now
        return alive

    engine.dialect.do_ping = is_alive  # type: ignore[method-assign]


def is_silent(connection: Any) -> bool:
    """Whether nothing has come from the server since the last statement."""
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    return not waiting.poll(0)


def is_ended(connection: Any) -> bool:
    """Whether the server has hung up, which libpq says only at the next statement."""
    try:
        number = connection.pgconn.socket
    except OperationalError:
        return True
    waiting = select.poll()
    waiting.register(number, getattr(select, "POLLRDHUP", 0))
    # These two are told unasked.
    hung_up = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
    return any(told & hung_up for _, told in waiting.poll(0))
