"""A week of everything that is remembered of statements and tables."""

from sqlalchemy import Engine, text

# Texts, their hours, slow calls, and sizes.
WEEK = """
INSERT INTO backoffice_statements
SELECT 'a' || lpad(to_hex(n), 15, '0'), 'SELECT ' || n, 'SELECT', 't', '', now(), now()
  FROM generate_series(1, 300) AS n;
INSERT INTO backoffice_statement_hours
SELECT date_trunc('hour', now()) - h * interval '1 hour',
       'a' || lpad(to_hex(n), 15, '0'), 'week', 'one', 9, 0, 0, 9, 0, 9, 0, 0,
       '{"n": 9, "t": 90, "m": 10, "c": {"10": 9}}'
  FROM generate_series(1, 168) AS h, generate_series(1, 100) AS n;
INSERT INTO backoffice_slow_statements
       (at, total_ms, wait_ms, execute_ms, fetch_ms, commit_ms, reason, view, action,
        fingerprint)
SELECT now() - n * interval '20 seconds', n, 0, n, 0, 0, 'slow', 'week', 'list',
       'a' || lpad(to_hex(n % 300 + 1), 15, '0')
  FROM generate_series(0, 30000) AS n;
INSERT INTO backoffice_table_sizes
SELECT now() - h * interval '1 hour', 'week.t' || n, 9, 8192, 8192
  FROM generate_series(1, 168) AS h, generate_series(1, 40) AS n;
"""
FORGET = """
DELETE FROM backoffice_slow_statements WHERE view = 'week';
DELETE FROM backoffice_statement_hours WHERE view = 'week';
DELETE FROM backoffice_statements WHERE fingerprint ~ '^a000';
DELETE FROM backoffice_table_sizes WHERE name LIKE 'week.%';
"""


def remember_a_week(engine: Engine) -> None:
    """Write it."""
    _run(engine, WEEK)


def forget_the_week(engine: Engine) -> None:
    """Take it away again."""
    _run(engine, FORGET)


def _run(engine: Engine, statements: str) -> None:
    with engine.begin() as connection:
        for one in statements.split(";\n"):
            if one.strip():
                connection.execute(text(one.replace(":", "\\:")))
