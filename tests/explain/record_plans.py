"""Record the plans of `tests/explain/plans` from a real server.

`python -m tests.explain.record_plans postgresql://postgres@/postgres?host=/tmp` makes
a database of its own on that server, plans and runs one statement for each rule, and
writes one file for the server's version. Tests read these files: plans of all versions
are judged wherever the tests run.
"""

import gzip
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg

from backoffice.explain.catalog_postgresql import read_catalog
from backoffice.explain.masking import mask_plan

DIRECTORY = Path(__file__).parent / "plans"
DATABASE = "recorded_plans"

TABLES = """
CREATE TABLE big (
  id int PRIMARY KEY, grp int, val int, few int, name text, note text
) WITH (autovacuum_enabled = off);
INSERT INTO big SELECT g, g % 10, (g * 7919) % 1000, g, 'name ' || g,
  md5(g::text) || md5((g + 1)::text) FROM generate_series(1, 200000) g;
ALTER TABLE big ALTER few SET (n_distinct = 10);
CREATE INDEX big_grp ON big (grp);
CREATE INDEX big_val ON big (val);
CREATE TABLE corr (
  id int PRIMARY KEY, a int, b int, c int
) WITH (autovacuum_enabled = off);
INSERT INTO corr SELECT g, g % 100, g % 100, g % 100 FROM generate_series(1, 200000) g;
CREATE TABLE small (id int PRIMARY KEY, a int, b int);
INSERT INTO small SELECT g, g, g FROM generate_series(1, 300) g;
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent);
INSERT INTO parent SELECT generate_series(1, 2000);
INSERT INTO child SELECT g, 1000 + g % 1000 FROM generate_series(1, 100000) g;
CREATE TABLE docs (id int PRIMARY KEY, body text);
INSERT INTO docs SELECT g, repeat(md5(g::text), 4000) FROM generate_series(1, 1000) g;
CREATE TABLE stale (id int PRIMARY KEY) WITH (autovacuum_enabled = off);
INSERT INTO stale SELECT generate_series(1, 5000);
"""
ANALYSED = ("big", "corr", "small", "parent", "child", "docs")

PLAN = "VERBOSE, SETTINGS, BUFFERS, FORMAT JSON"
RUN = f"ANALYZE, {PLAN}"
LITTLE = {"work_mem": "64kB", "max_parallel_workers_per_gather": "0"}
ALONE = {"max_parallel_workers_per_gather": "0"}
LOOPS = {"enable_hashjoin": "off", "enable_mergejoin": "off", **ALONE}
JOIN = " ".join(
    f"JOIN small s{n} ON s{n}.a = s{n - 1}.b AND s{n}.b > s1.a - 5"
    for n in range(2, 12)
)

# Rule, settings, statement.
CASES: dict[str, tuple[dict[str, str], str]] = {
    "P1": (ALONE, "SELECT count(*) FROM big WHERE md5(name) > md5(note)"),
    "P2": (ALONE, "SELECT * FROM corr WHERE a = 1 AND b = 1 AND c = 1"),
    "P3": (ALONE, "SELECT * FROM corr WHERE a = 7"),
    "P4": (
        {"enable_seqscan": "off", "enable_bitmapscan": "off", **ALONE},
        "SELECT * FROM big WHERE grp = 3 AND few = 13",
    ),
    "P5": (LITTLE, "SELECT * FROM big ORDER BY note"),
    "P6": (
        {"enable_mergejoin": "off", "enable_nestloop": "off", **LITTLE},
        "SELECT count(*) FROM big a JOIN corr b ON a.id = b.id",
    ),
    "P7": (
        {"enable_sort": "off", **LITTLE},
        "SELECT note, count(*) FROM big GROUP BY note",
    ),
    "P8": (
        LITTLE,
        (
            "WITH c AS MATERIALIZED (SELECT * FROM big) "
            "SELECT (SELECT count(*) FROM c), (SELECT max(val) FROM c)"
        ),
    ),
    "P9": (LITTLE, "SELECT * FROM big ORDER BY name"),
    "P10": (
        {"enable_seqscan": "off", "enable_indexscan": "off", **LITTLE},
        "SELECT count(note) FROM big WHERE val BETWEEN 1 AND 900",
    ),
    "P11": (
        {"enable_seqscan": "off", "enable_bitmapscan": "off", **ALONE},
        "SELECT count(*) FROM big WHERE id < 5000",
    ),
    "P12": (
        LOOPS,
        (
            "SELECT count(*) FROM corr c JOIN big b ON b.id = c.id "
            "WHERE c.a = 1 AND c.b = 1 AND c.c = 1"
        ),
    ),
    "P13": (ALONE, "SELECT * FROM big ORDER BY id LIMIT 50 OFFSET 50000"),
    "P14": (ALONE, "SELECT * FROM big WHERE note LIKE '%zzz' ORDER BY id LIMIT 10"),
    "P15": (
        ALONE,
        "SELECT count(*) FROM small s JOIN small t ON s.a = t.b OR s.b = t.a + 1",
    ),
    "P16": (
        {
            "max_parallel_workers": "0",
            "max_parallel_workers_per_gather": "2",
            "parallel_setup_cost": "0",
            "parallel_tuple_cost": "0",
            "min_parallel_table_scan_size": "0",
        },
        "SELECT count(*) FROM big WHERE note > 'a'",
    ),
    "P17": (
        {"join_collapse_limit": "12", "geqo": "off", **ALONE},
        f"SELECT count(*) FROM small s1 {JOIN} WHERE s1.id = 1",
    ),
    "P18": (
        {
            "jit": "on",
            "jit_above_cost": "0",
            "jit_inline_above_cost": "0",
            "jit_optimize_above_cost": "0",
            **ALONE,
        },
        "SELECT count(*) FROM small WHERE a + b > 5",
    ),
    "P19": (ALONE, "DELETE FROM parent WHERE id <= 200"),
    "P20": (ALONE, "SELECT count(*) FROM stale"),
    "P21": ({"enable_seqscan": "off", **ALONE}, "SELECT * FROM big WHERE name = 'x'"),
    "P22": (ALONE, "SELECT body FROM docs"),
    "P23": (
        {"enable_material": "off", **LOOPS},
        "SELECT count(*) FROM big a JOIN corr b ON b.id = a.few",
    ),
    "P24": (ALONE, "SELECT count(*) FROM (SELECT * FROM big ORDER BY note) x"),
    "P25": (ALONE, "SELECT * FROM big WHERE note ILIKE '%abc%'"),
    "P26": (ALONE, "SELECT count(*) FROM small s, small t"),
}
# More of what a rule has to tell apart: rule, then what is particular.
OTHERS: dict[str, tuple[dict[str, str], str]] = {
    "P2 groups": (ALONE, "SELECT a, b, count(*) FROM corr GROUP BY a, b"),
    "P3 lowered": (ALONE, "SELECT * FROM big WHERE lower(name) = 'name 7'"),
    "P3 expression": (ALONE, "SELECT * FROM corr WHERE abs(a) = 7"),
    "P3 cast": (ALONE, "SELECT * FROM corr WHERE a::text = '7'"),
    "P3 start": (ALONE, "SELECT * FROM big WHERE name LIKE 'name 77%'"),
    "P3 either": (ALONE, "SELECT * FROM corr WHERE a = 7 OR b = 9"),
    "P3 join": (
        ALONE,
        (
            "SELECT c.* FROM small s JOIN child c ON c.parent_id = s.a + 1000 "
            "WHERE s.b = 7"
        ),
    ),
    "P3 recursion": (
        ALONE,
        (
            "WITH RECURSIVE w (id, n) AS (SELECT 1, 0 UNION ALL "
            "SELECT c.parent_id + 1, n + 1 FROM w "
            "JOIN child c ON c.parent_id = w.id + 1000 WHERE n < 3) "
            "SELECT count(*) FROM w"
        ),
    ),
    "P3 words": (
        ALONE,
        (
            "SELECT * FROM big "
            "WHERE to_tsvector('simple', note) @@ to_tsquery('simple', 'abc')"
        ),
    ),
    "P12 subquery": (
        ALONE,
        (
            "SELECT id, (SELECT count(*) FROM corr c WHERE c.a = s.a) "
            "FROM small s WHERE s.id <= 30"
        ),
    ),
    "P12 not in": (
        LITTLE,
        "SELECT count(*) FROM parent WHERE id NOT IN (SELECT id FROM corr)",
    ),
    "P14 another": (
        ALONE,
        (
            "SELECT b.* FROM big b JOIN small s ON s.a = b.val % 300 + 1 "
            "ORDER BY s.b, b.id LIMIT 10"
        ),
    ),
}
# These are seen without running anything, too.
PLANNED = ("P1", "P3", "P13", "P14", "P19", "P24", "P25", "P26")


def record(url: str) -> Path:
    """Record every case on the server; the file that was written."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        server.execute(f"CREATE DATABASE {DATABASE}")
    with psycopg.connect(url, dbname=DATABASE) as connection:
        connection.execute(TABLES)
        connection.commit()
        # What was written is counted before the tables are looked at.
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.commit()
        connection.execute(f"ANALYZE {', '.join(ANALYSED)}")
        connection.commit()
        version = connection.info.server_version // 10_000
        found: dict[str, Any] = {}
        for name, (settings, statement) in {**CASES, **OTHERS}.items():
            run = RUN
            if version >= 17 and name == "P22":
                run = f"ANALYZE, SERIALIZE TEXT, {PLAN}"
            found[name] = _plan(connection, settings, run, statement)
            if name in PLANNED:
                found[f"{name} planned"] = _plan(connection, settings, PLAN, statement)
        catalog = read_catalog(
            connection,
            {
                ("public", t)
                for t in ("big", "corr", "small", "parent", "child", "stale")
            },
        )
        found["catalog"] = asdict(catalog)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    path = DIRECTORY / f"postgresql_{version}.json.gz"
    text = json.dumps(found, default=str, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def _plan(
    connection: psycopg.Connection, settings: dict[str, str], options: str, text: str
) -> Any:
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])
    # Once unseen, so that nothing is read from disk the second time.
    if "ANALYZE" in options and not text.startswith("DELETE"):
        connection.execute(text.encode())
    row = connection.execute(f"EXPLAIN ({options}) {text}".encode()).fetchone()
    connection.rollback()
    assert row is not None
    return mask_plan(row[0][0])


if __name__ == "__main__":
    print(record(sys.argv[1]))  # noqa: T201
