"""What the ops page asks the database: five statements, one hop, one deadline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from backoffice.observability.activity import SQLITE, Backend, activity_question
from backoffice.observability.housekeeping import (
    ServerFacts,
    TableFacts,
    server_question,
    tables_question,
)
from backoffice.observability.ops_connection import (
    DEADLINE,
    OpsReader,
    Question,
    Reading,
)
from backoffice.observability.slow_log import SlowEntry, entries, read_slow, recent_slow
from backoffice.observability.statement_texts import (
    StatementRecord,
    new_since,
    records,
    select_new,
)

SHOWN = 10


@dataclass(frozen=True, slots=True)
class LivePanels:
    """The panels of the page that come from the database, each with its own state."""

    activity: Reading[tuple[Backend, ...]]
    tables: Reading[tuple[TableFacts, ...]]
    server: Reading[ServerFacts]
    slow: Reading[tuple[SlowEntry, ...]]
    new: Reading[tuple[StatementRecord, ...]]


def read_live(
    reader: OpsReader, *, revision: str | None = None, deadline: float = DEADLINE
) -> LivePanels:
    """All panels within `deadline` seconds; `revision` is the newest migration.

    Without it nobody asks for the statements that are new since.
    """
    if not reader.is_postgresql:
        return _read_sqlite(reader, revision, deadline)
    questions: list[Question[Any]] = [
        activity_question(),
        _question("slow", recent_slow(limit=SHOWN), entries),
        server_question(),
    ]
    if revision is not None:
        questions.append(_question("new", select_new(revision, limit=SHOWN), records))
    questions.append(tables_question())  # last: it is the one that a lock can hold up
    found = reader.ask(*questions, deadline=deadline)
    return LivePanels(**{"new": reader.remembered("new"), **found})


def _read_sqlite(
    reader: OpsReader, revision: str | None, deadline: float
) -> LivePanels:
    """What there is on SQLite: what we wrote ourselves."""
    return LivePanels(
        activity=SQLITE,
        tables=SQLITE,
        server=SQLITE,
        slow=reader.call(
            "slow", lambda link: read_slow(link, limit=SHOWN), deadline=deadline
        ),
        new=(
            reader.remembered("new")
            if revision is None
            else reader.call(
                "new",
                lambda link: new_since(link, revision, limit=SHOWN),
                deadline=deadline,
            )
        ),
    )


def _question(
    name: str, statement: Select[Any], read: Callable[[Any], Any]
) -> Question[Any]:
    """A statement of SQLAlchemy's as the driver takes it, values bound."""
    compiled = statement.compile(dialect=_PSYCOPG)
    return Question(name, str(compiled), read, compiled.params)


_PSYCOPG: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
