"""What grows and what rots: sizes, dead rows, vacuum and analyze, settings at odds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backoffice.observability.ops_connection import CONNECTIONS, Question
from backoffice.settings import DatabaseSettings, Settings

# Reading a sequence waits for whoever changes it: what is held is not asked.
# How much of its numbers each key has used that a sequence gives: of those that the
# column's type has, where the sequence has more. One that begins anew ends nowhere.
_KEYS = """
SELECT o.relation, a.attname AS key, a.atttypid::regtype::text AS key_type,
       CASE WHEN has_sequence_privilege(s.seqrelid, 'USAGE, SELECT')
             AND NOT EXISTS (SELECT FROM pg_locks AS l
                              WHERE l.relation = s.seqrelid AND l.granted
                                AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock',
                                               'ExclusiveLock', 'AccessExclusiveLock'))
            THEN pg_sequence_last_value(s.seqrelid)::float8
                 / least(s.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767
                                                   WHEN 'int4'::regtype THEN 2147483647
                                                   ELSE s.seqmax END)
       END AS key_used
  FROM pg_sequence AS s
  JOIN (SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number
          FROM pg_depend
         WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
           AND refobjsubid > 0 AND deptype IN ('a', 'i')
         UNION
        SELECT d.refobjid, f.adrelid, f.adnum
          FROM pg_depend AS d
          JOIN pg_attrdef AS f ON f.oid = d.objid
         WHERE d.classid = 'pg_attrdef'::regclass
           AND d.refclassid = 'pg_class'::regclass) AS o ON o.sequence = s.seqrelid
  JOIN pg_attribute AS a ON a.attrelid = o.relation AND a.attnum = o.number
 WHERE s.seqincrement > 0 AND NOT s.seqcycle
"""

# The size of a table that somebody holds exclusively is not waited for.
POSTGRESQL_TABLES = f"""
SELECT n.nspname AS schema, c.relname AS name, c.reltuples::bigint AS estimate,
       s.n_live_tup AS live, s.n_dead_tup AS dead,
       s.n_mod_since_analyze AS changed, s.seq_scan AS scans,
       s.seq_tup_read AS scanned, s.idx_scan AS lookups,
       greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed,
       greatest(s.last_analyze, s.last_autoanalyze) AS analyzed,
       CASE WHEN greatest(s.last_analyze, s.last_autoanalyze) IS NULL
             AND c.reltuples >= 0
            THEN EXISTS (SELECT FROM pg_stats AS p WHERE p.schemaname = n.nspname
                          AND p.tablename = c.relname) END AS has_statistics,
       CASE WHEN k.relation IS NULL THEN pg_table_size(c.oid) END AS data_size,
       CASE WHEN k.relation IS NULL THEN pg_indexes_size(c.oid) END AS index_size,
       q.key, q.key_type, q.key_used
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_stat_user_tables AS s ON s.relid = c.oid
  LEFT JOIN (SELECT DISTINCT relation FROM pg_locks
              WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND granted
                AND database = (SELECT oid FROM pg_database
                                 WHERE datname = current_database())) AS k
         ON k.relation = c.oid
  LEFT JOIN (SELECT DISTINCT ON (relation) relation, key, key_type, key_used
               FROM ({_KEYS}) AS u WHERE key_used IS NOT NULL
              ORDER BY relation, key_used DESC) AS q ON q.relation = c.oid
 WHERE c.relkind IN ('r', 'p', 'm')
"""

POSTGRESQL_SERVER = """
SELECT current_setting('server_version') AS version,
       EXTRACT(epoch FROM pg_postmaster_start_time())::float8 AS started,
       pg_database_size(current_database()) AS size,
       pg_is_in_recovery() AS is_replica,
       d.xact_commit, d.xact_rollback, d.blks_read, d.blks_hit, d.deadlocks,
       d.temp_bytes,
       a.connections, a.hidden,
       (SELECT count(*) FROM pg_locks) AS locks,
       (SELECT jsonb_object_agg(coalesce(state, 'unknown'), number) FROM (
          SELECT state, count(*) AS number FROM pg_stat_activity
           WHERE datname = current_database() GROUP BY state) AS s) AS states,
       (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name = ANY (
          '{max_connections,superuser_reserved_connections,reserved_connections,fsync,
            full_page_writes,autovacuum,track_activities,track_counts,
            statement_timeout,lock_timeout,idle_in_transaction_session_timeout,
            shared_buffers,work_mem,synchronous_commit,compute_query_id}'::text[]
       )) AS settings
  FROM pg_stat_database AS d
 CROSS JOIN (SELECT count(*) AS connections,
                    count(*) FILTER (WHERE backend_type IS NULL) AS hidden
               FROM pg_stat_activity
              WHERE backend_type = 'client backend'
                 OR (backend_type IS NULL AND usename IS NOT NULL)) AS a
 WHERE d.datname = current_database()
"""

# From here a key has to be made larger before it runs out.
KEY_USED = 0.9
DEAD_SHARE = 0.2
DEAD_ROWS = 10_000
CHANGED_SHARE = 0.1
MANY_ROWS = 1_000
BLOCK = 10_000
HIT_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table: bytes and rows; None is "not known", as while it is locked.

    A crash takes the counters along, and so when it was analysed last, but not what the
    planner knows: `has_statistics` tells. `key_used` is how much of its numbers the
    fullest key has used, 0 to 1, of those that a sequence gives.
    """

    schema: str
    name: str
    rows: int | None
    dead: int
    changed: int
    data_size: int | None
    index_size: int | None
    vacuumed: datetime | None
    analyzed: datetime | None
    scans: int
    scanned: int
    lookups: int | None
    has_statistics: bool = False
    key: str | None = None
    key_type: str | None = None
    key_used: float | None = None

    @property
    def path(self) -> str:
        """Its schema and name."""
        return f"{self.schema}.{self.name}"

    @property
    def is_running_out(self) -> bool:
        """Whether its key will soon have no more numbers."""
        return self.key_used is not None and self.key_used >= KEY_USED

    @property
    def size(self) -> int | None:
        """All that it occupies."""
        if self.data_size is None or self.index_size is None:
            return None
        return self.data_size + self.index_size

    @property
    def dead_share(self) -> float:
        """How much of it is dead rows, 0 to 1."""
        whole = (self.rows or 0) + self.dead
        return self.dead / whole if whole else 0.0

    @property
    def needs(self) -> str:
        """What it needs, in words; empty when nothing."""
        if self.is_running_out:
            used = f"{(self.key_used or 0) * 100:.0f} %"
            return f"{self.key} needs a larger type: {used} of {self.key_type} is used"
        if self.dead >= DEAD_ROWS and self.dead_share > DEAD_SHARE:
            return f"VACUUM: {self.dead_share * 100:.0f} % of its rows are dead"
        if self.rows is not None and self.rows >= MANY_ROWS:
            if self.analyzed is None and not self.has_statistics:
                return "ANALYZE: the planner knows nothing of it"
            if self.changed > self.rows * CHANGED_SHARE:
                return f"ANALYZE: {self.changed} rows changed since the last"
        return ""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server and this database, as they say of themselves.

    `hidden` of the connections are of roles that ours may not look at: some of them may
    be workers of the server, so that `connections` is the most that there can be.
    """

    version: str
    started: float
    size: int
    is_replica: bool
    connections: int
    states: Mapping[str, int]
    locks: int
    commits: int
    rollbacks: int
    blocks_read: int
    blocks_hit: int
    deadlocks: int
    temporary: int
    settings: Mapping[str, str] = field(default_factory=dict)
    hidden: int = 0

    @property
    def usable_connections(self) -> int:
        """The connections that are not reserved for superusers."""
        reserved = ("superuser_reserved_connections", "reserved_connections")
        kept = sum(int(self.settings.get(name, "0")) for name in reserved)
        return int(self.settings.get("max_connections", "0")) - kept

    @property
    def hit_share(self) -> float | None:
        """How much was read from memory; None while too little was read to tell."""
        whole = self.blocks_read + self.blocks_hit
        return self.blocks_hit / whole if whole >= BLOCK else None

    def exported(self, namespace: str) -> dict[tuple[str, tuple[Any, ...]], float]:
        """The gauges that postgres_exporter would show, for `exposition.Facts`."""
        name = (("datname", namespace),)
        found: dict[tuple[str, tuple[Any, ...]], float] = {
            ("pg_stat_activity_count", (*name, ("state", state))): float(number)
            for state, number in self.states.items()
        }
        for setting in ("max_connections", "superuser_reserved_connections"):
            if setting in self.settings:
                value = float(self.settings[setting])
                found[f"pg_settings_{setting}", ()] = value
        numbers = {
            "blks_hit": self.blocks_hit,
            "blks_read": self.blocks_read,
            "xact_commit": self.commits,
            "xact_rollback": self.rollbacks,
            "deadlocks": self.deadlocks,
        }
        for key, number in numbers.items():
            found[f"pg_stat_database_{key}", name] = float(number)
        found["pg_locks_count", name] = float(self.locks)
        return found


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two settings that cannot both be meant, or one that risks the data."""

    text: str
    fix: str


def tables_question() -> Question[tuple[TableFacts, ...]]:
    """All tables, the largest first."""
    return Question("tables", POSTGRESQL_TABLES, _tables)


def server_question() -> Question[ServerFacts]:
    """The server, in one row."""
    return Question("server", POSTGRESQL_SERVER, _server)


def contradictions(
    database: DatabaseSettings,
    *,
    server: ServerFacts | None = None,
    processes: int = 1,
    threads: float | None = None,
    beside: int = 0,
) -> tuple[Contradiction, ...]:
    """The settings that are at odds; `threads` is how many may ask at once.

    `beside` is how many connections each process may open beside its pool.
    """
    found = []
    most = database.pool_size + database.max_overflow
    if threads is not None and database.pool == "queue" and threads > most:
        found.append(
            Contradiction(
                f"{threads:g} threads share the {most} connections of a pool.",
                f"Let {most} threads ask at once, or raise database.pool_size.",
            )
        )
    if not database.statement_timeout:
        found.append(
            Contradiction(
                "A statement of a page may run without end.",
                "Set database.statement_timeout to a few seconds.",
            )
        )
    if not database.lock_timeout:
        found.append(
            Contradiction(
                "Who waits for a lock is told so only when the statement's time is up.",
                "Set database.lock_timeout to a few seconds.",
            )
        )
    if not database.idle_in_transaction_timeout:
        found.append(
            Contradiction(
                "A transaction that stands idle keeps its locks without end.",
                "Set database.idle_in_transaction_timeout to some seconds.",
            )
        )
    if (
        database.statement_timeout
        and database.lock_timeout
        and database.lock_timeout >= database.statement_timeout
    ):
        found.append(
            Contradiction(
                "A statement times out before its wait for a lock does: "
                "nobody is told that it waited.",
                "database.lock_timeout should be below database.statement_timeout.",
            )
        )
    if server is not None:
        found.extend(_server_contradictions(server, most + beside, processes))
    return tuple(found)


def connections_beside(settings: Settings) -> int:
    """The connections that a process may open beside its pool.

    Those of exports, the two that these pages ask over, and the one that the slow log
    is written with.
    """
    return settings.listing.exports_at_once + CONNECTIONS + 1


def _server_contradictions(
    server: ServerFacts, most: int, processes: int
) -> list[Contradiction]:
    found = []
    wanted = most * processes
    if wanted > server.usable_connections > 0:
        found.append(
            Contradiction(
                f"{processes} processes may want {wanted} connections; "
                f"the server gives {server.usable_connections}.",
                "Lower database.pool_size or max_overflow, or raise max_connections.",
            )
        )
    for name, risk in (
        ("fsync", "A crash of the machine can destroy the database."),
        ("full_page_writes", "A crash of the machine can destroy pages."),
        ("autovacuum", "Dead rows stay, and statistics grow old."),
        ("track_activities", "Nobody sees what runs."),
        ("track_counts", "Autovacuum does not know when to run."),
    ):
        if server.settings.get(name) == "off":
            found.append(Contradiction(f"{name} is off: {risk}", f"Set {name} = on."))
    return found


def _tables(rows: Sequence[Mapping[str, Any]]) -> tuple[TableFacts, ...]:
    found = [
        TableFacts(
            schema=row["schema"],
            name=row["name"],
            # Minus one is "never analysed": the counter's word, if it has one.
            rows=row["estimate"] if row["estimate"] >= 0 else (row["live"] or None),
            dead=row["dead"],
            changed=row["changed"],
            data_size=row["data_size"],
            index_size=row["index_size"],
            vacuumed=row["vacuumed"],
            analyzed=row["analyzed"],
            has_statistics=bool(row["has_statistics"]),
            scans=row["scans"],
            scanned=row["scanned"],
            lookups=row["lookups"],
            key=row["key"],
            key_type=row["key_type"],
            key_used=row["key_used"],
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda table: -(table.size or 0)))


def _server(rows: Sequence[Mapping[str, Any]]) -> ServerFacts:
    row = rows[0]
    return ServerFacts(
        version=row["version"],
        started=row["started"],
        size=row["size"],
        is_replica=row["is_replica"],
        connections=row["connections"],
        states=row["states"] or {},
        locks=row["locks"],
        commits=row["xact_commit"],
        rollbacks=row["xact_rollback"],
        blocks_read=row["blks_read"],
        blocks_hit=row["blks_hit"],
        deadlocks=row["deadlocks"],
        temporary=row["temp_bytes"],
        settings=row["settings"] or {},
        hidden=row["hidden"],
    )
