"""What does SQLite say of itself? Its file, how it is written, and what risks it.

There is no server: no sessions, no connections to count, no statistics of tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backoffice.observability.housekeeping import Contradiction
from backoffice.observability.ops_connection import Question

SQLITE_FILE = """
SELECT sqlite_version() AS version, c.page_count * s.page_size AS size,
       f.freelist_count * s.page_size AS unused, j.journal_mode, y.synchronous,
       k.foreign_keys
  FROM pragma_page_count AS c, pragma_page_size AS s, pragma_freelist_count AS f,
       pragma_journal_mode AS j, pragma_synchronous AS y, pragma_foreign_keys AS k
"""


@dataclass(frozen=True, slots=True)
class SqliteFacts:
    """The file, in bytes, and the settings that decide over it."""

    version: str
    size: int
    unused: int
    journal_mode: str
    synchronous: int
    foreign_keys: bool


def sqlite_question() -> Question[SqliteFacts]:
    """The file, in one row."""
    return Question("server", SQLITE_FILE, _file)


def sqlite_contradictions(facts: SqliteFacts) -> tuple[Contradiction, ...]:
    """The settings of this database that contradict what the site relies on."""
    found = []
    if facts.journal_mode != "wal":
        found.append(
            Contradiction(
                f"The journal is {facts.journal_mode}: who reads waits for who writes.",
                "PRAGMA journal_mode = WAL, once, while nobody else has the file open.",
            )
        )
    if not facts.synchronous:
        found.append(
            Contradiction(
                "synchronous is off: a crash of the machine can destroy the database.",
                "PRAGMA synchronous = NORMAL.",
            )
        )
    if not facts.foreign_keys:
        found.append(
            Contradiction("Foreign keys are not enforced.", "PRAGMA foreign_keys = ON.")
        )
    return tuple(found)


def _file(rows: Sequence[Mapping[str, Any]]) -> SqliteFacts:
    row = rows[0]
    return SqliteFacts(
        version=row["version"],
        size=row["size"],
        unused=row["unused"],
        journal_mode=row["journal_mode"],
        synchronous=row["synchronous"],
        foreign_keys=bool(row["foreign_keys"]),
    )
