"""What the ops page asks the database: five statements, one hop, one deadline.

With the one that asks who is there they are six.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from backoffice.observability.activity import SQLITE, Backend, activity_question
from backoffice.observability.housekeeping import (
    ServerFacts,
    TableFacts,
    server_question,
    tables_question,
)
from backoffice.observability.housekeeping_sqlite import SqliteFacts, sqlite_question
from backoffice.observability.ops_connection import (
    DEADLINE,
    OpsReader,
    Question,
    Reading,
    State,
)
from backoffice.observability.slow_log import SlowEntry, entries, read_slow, recent_slow
from backoffice.observability.statement_texts import (
    StatementRecord,
    new_since,
    records,
    select_new,
)

SHOWN = 10
POSTGRESQL: Reading[Any] = Reading(State.NOT_HERE, text="PostgreSQL is a server")
NO_STATISTICS: Reading[Any] = Reading(
    State.NOT_HERE, text="SQLite keeps no statistics of its tables"
)
Stored = tuple[tuple[SlowEntry, ...], tuple[StatementRecord, ...] | None]


@dataclass(frozen=True, slots=True)
class LivePanels:
    """The panels of the page that come from the database, each with its own state."""

    activity: Reading[tuple[Backend, ...]]
    tables: Reading[tuple[TableFacts, ...]]
    server: Reading[ServerFacts]
    file: Reading[SqliteFacts]
    slow: Reading[tuple[SlowEntry, ...]]
    new: Reading[tuple[StatementRecord, ...]]
    migrations: Reading[int]


def no_panels(missing: Reading[Any], *, is_postgresql: bool) -> LivePanels:
    """Panels of which nothing was read, for the reason that `missing` gives."""
    there, elsewhere = (missing, POSTGRESQL) if is_postgresql else (SQLITE, missing)
    return LivePanels(
        activity=there,
        tables=missing if is_postgresql else NO_STATISTICS,
        server=there,
        file=elsewhere,
        slow=missing,
        new=missing,
        migrations=missing,
    )


def read_live(
    reader: OpsReader,
    migrations: Question[int],
    *,
    revision: str | None = None,
    deadline: float = DEADLINE,
) -> LivePanels:
    """All panels within `deadline` seconds; `revision` is the newest migration.

    Where it is given, the statements that are new since are asked for, and how many
    migrations are due is as it was known last.
    """
    if not reader.is_postgresql:
        return _read_sqlite(reader, migrations, revision, deadline)
    questions: list[Question[Any]] = [
        activity_question(),
        _question("slow", recent_slow(limit=SHOWN), entries),
        server_question(),
    ]
    if revision is None:
        questions.append(migrations)
    else:
        questions.append(_question("new", select_new(revision, limit=SHOWN), records))
    questions.append(tables_question())  # last: it is the one that a lock can hold up
    found = reader.ask(*questions, deadline=deadline)
    known = {name: reader.remembered(name) for name in ("new", "migrations")}
    return LivePanels(**{"file": POSTGRESQL, **known, **found})


def _read_sqlite(
    reader: OpsReader,
    migrations: Question[int],
    revision: str | None,
    deadline: float,
) -> LivePanels:
    """What there is on SQLite: its file, and what we wrote ourselves."""
    begun = monotonic()
    found = reader.ask(sqlite_question(), migrations, deadline=deadline)

    def read(link: Connection) -> Stored:
        slow = read_slow(link, limit=SHOWN)
        new = new_since(link, revision, limit=SHOWN) if revision is not None else None
        return slow, new

    left = deadline - (monotonic() - begun)
    both: Reading[Any] = reader.call("stored", read, deadline=left)
    slow, new = both.value or (None, None)
    return LivePanels(
        activity=SQLITE,
        tables=NO_STATISTICS,
        server=SQLITE,
        file=found["server"],
        slow=replace(both, value=slow),
        new=reader.remembered("new") if new is None else replace(both, value=new),
        migrations=found["migrations"],
    )


def _question(
    name: str, statement: Select[Any], read: Callable[[Any], Any]
) -> Question[Any]:
    """A statement of SQLAlchemy's as the driver takes it, values bound."""
    compiled = statement.compile(dialect=_PSYCOPG)
    return Question(name, str(compiled), read, compiled.params)


_PSYCOPG: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
