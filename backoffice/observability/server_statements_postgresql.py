"""What does the server itself say of a statement, where pg_stat_statements is there?

The server tells statements by a query id, which we learn from the text that it keeps:
one of ours may have several (PostgreSQL 15 has one for every length of a list). Once
they are known, numbers are joined by them. Without the extension nothing is missing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from sqlalchemy import Connection, text

from backoffice.observability.fingerprints import normalise

# Ids are looked for again after so long: a list of another length is another one.
LEARNED_FOR = 600.0
REMEMBERED = 1_000

POSTGRESQL_EXTENSION = """
SELECT quote_ident(n.nspname) AS schema,
       'pg_stat_statements' = ANY (
           string_to_array(replace(current_setting('shared_preload_libraries'),
                                   ' ', ''), ',')) AS is_loaded
  FROM pg_extension AS e
  JOIN pg_namespace AS n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'
"""
POSTGRESQL_IDS = """
SELECT DISTINCT queryid AS id, query
  FROM {schema}.pg_stat_statements(true)
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND queryid IS NOT NULL AND strpos(query, :table) > 0
"""
POSTGRESQL_NUMBERS = """
SELECT sum(calls)::bigint AS calls, sum(total_exec_time)::float8 AS total_ms,
       max(max_exec_time)::float8 AS max_ms, sum(rows)::bigint AS rows,
       sum(shared_blks_read)::bigint AS blocks_read,
       sum(shared_blks_hit)::bigint AS blocks_hit,
       (SELECT stats_reset FROM {schema}.pg_stat_statements_info) AS since
  FROM {schema}.pg_stat_statements(false)
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND queryid = ANY (:ids)
"""

# How `fingerprints` ends a text that it cuts.
CUT = re.compile(r" … \([^)]* more\)$")
LONGEST_WORD = 100

_PLACEHOLDER = re.compile(r"%\([^()]*\)s|%s|\$\d+")
_CONSTANT = re.compile(r"(?<!IS )(?<!NOT )\b(?:NULL|TRUE|FALSE)\b", re.IGNORECASE)
_NEGATIVE = re.compile(r"(?<=[(,=<>\s])-\s?\?")
_IN_LIST = re.compile(
    r"\bIN \(\s*\?(?:::[\w ]+)?(?:\s*,\s*\?(?:::[\w ]+)?)*\s*\)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ServerStatement:
    """A statement as the server counts it, whoever sent it; milliseconds."""

    ids: tuple[int, ...]
    calls: int
    total_ms: float
    max_ms: float
    rows: int
    blocks_read: int
    blocks_hit: int
    since: datetime | None

    @property
    def mean_ms(self) -> float:
        """The time of a call on average."""
        return self.total_ms / self.calls if self.calls else 0.0


class QueryIds:
    """Which ids the server has given to our statements; learned once, then known."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, tuple[int, ...]]] = {}

    def of(self, fingerprint: str) -> tuple[int, ...] | None:
        """The ids of a statement; None where they have to be looked for."""
        known = self._known.get(fingerprint)
        if known is None or monotonic() - known[0] > LEARNED_FOR or not known[1]:
            return None
        return known[1]

    def learn(self, fingerprint: str, ids: Iterable[int]) -> tuple[int, ...]:
        """Remember the ids of a statement."""
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        found = tuple(sorted(ids))
        self._known[fingerprint] = (monotonic(), found)
        return found


def read_server_statement(
    connection: Connection, ids: QueryIds, fingerprint: str, sql: str, table: str
) -> ServerStatement | None:
    """The server's own numbers; None without the extension, or where it has none."""
    there = connection.execute(text(POSTGRESQL_EXTENSION)).mappings().first()
    if there is None or not there["is_loaded"] or not table:
        return None
    known = ids.of(fingerprint)
    if known is None:
        statement = text(POSTGRESQL_IDS.format(schema=there["schema"]))
        found = connection.execute(statement, {"table": table}).mappings()
        rows = [dict(row) for row in found]
        known = ids.learn(fingerprint, ids_of(sql, rows))
    if not known:
        return None
    statement = text(POSTGRESQL_NUMBERS.format(schema=there["schema"]))
    row = connection.execute(statement, {"ids": list(known)}).mappings().one()
    if not row["calls"]:
        return None
    return ServerStatement(ids=known, **row)


def ids_of(sql: str, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    """The ids of those texts that are this statement, whatever its values."""
    wanted = canonical(sql)
    cut = CUT.search(wanted)
    if cut is None:
        return {row["id"] for row in rows if canonical(row["query"]) == wanted}
    # Of a long one only the beginning was kept; its last word may be half of one.
    wanted = wanted[: cut.start() - LONGEST_WORD]
    return {row["id"] for row in rows if canonical(row["query"]).startswith(wanted)}


def canonical(sql: str) -> str:
    """A statement as both sides would write it: one sign for whatever is a value."""
    plain = _PLACEHOLDER.sub("?", normalise(sql)).replace("%%", "%")
    plain = _NEGATIVE.sub("?", _CONSTANT.sub("?", plain))
    return _IN_LIST.sub("IN (…)", plain).rstrip("; ")
