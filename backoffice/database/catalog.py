"""What a database holds besides rows, in its own words: to compare two of them.

Each line names one thing and says how the database itself defines it, so that a table
made by migrations and one made from the metadata can be told apart to the letter. The
order of columns is no difference: a migration can only add at the end.
"""

import warnings

from sqlalchemy import Connection, inspect, text

_POSTGRESQL = """
WITH tables AS (
  SELECT * FROM pg_class WHERE relkind IN ('r', 'p')
  AND relnamespace = CAST(current_schema() AS regnamespace))
SELECT concat('table ', relname),
  CASE relpersistence WHEN 'u' THEN 'unlogged' ELSE 'logged' END
FROM tables
UNION ALL
SELECT concat('column ', relname, '.', attname),
  concat_ws(' ', format_type(atttypid, atttypmod),
    CASE WHEN attnotnull THEN 'not null' END,
    CASE attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
    CASE WHEN attgenerated <> '' THEN 'generated'
      WHEN adbin IS NOT NULL THEN 'default' END,
    pg_get_expr(adbin, adrelid),
    CASE WHEN attcollation <> typcollation THEN attcollation END)
FROM pg_attribute JOIN tables ON tables.oid = attrelid
JOIN pg_type ON pg_type.oid = atttypid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped
UNION ALL
-- What is not null stands with its column; only the newest versions name it here.
SELECT concat('constraint ', relname, '.', conname),
  pg_get_constraintdef(pg_constraint.oid)
FROM pg_constraint JOIN tables ON tables.oid = conrelid WHERE contype <> 'n'
UNION ALL
SELECT concat('index ', CAST(indexrelid AS regclass)),
  concat(pg_get_indexdef(indexrelid), CASE WHEN NOT indisvalid THEN ' invalid' END)
FROM pg_index JOIN tables ON tables.oid = indrelid
UNION ALL
SELECT concat('trigger ', relname, '.', tgname),
  concat(pg_get_triggerdef(pg_trigger.oid), ' ', tgenabled)
FROM pg_trigger JOIN tables ON tables.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT concat('function ', CAST(oid AS regprocedure)), pg_get_functiondef(oid)
FROM pg_proc WHERE prokind IN ('f', 'p')
  AND pronamespace = CAST(current_schema() AS regnamespace)
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
UNION ALL
SELECT concat('sequence ', relname),
  concat_ws(' ', format_type(seqtypid, NULL), seqstart, seqincrement)
FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid
WHERE relnamespace = CAST(current_schema() AS regnamespace)
UNION ALL
SELECT concat('view ', relname), pg_get_viewdef(oid) FROM pg_class
WHERE relkind IN ('v', 'm')
  AND relnamespace = CAST(current_schema() AS regnamespace)
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
UNION ALL
SELECT concat('enum ', typname), string_agg(enumlabel, ', ' ORDER BY enumsortorder)
FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid
WHERE typnamespace = CAST(current_schema() AS regnamespace) GROUP BY typname
"""


def read_catalog(connection: Connection) -> dict[str, str]:
    """Everything in the current schema: `column students.code` and its definition."""
    if connection.dialect.name == "postgresql":
        rows = connection.execute(text(_POSTGRESQL))
        return dict(sorted((name, definition) for name, definition in rows))
    with warnings.catch_warnings():
        # An index of expressions is read from its own text.
        warnings.filterwarnings("ignore", "Skipped unsupported reflection")
        return dict(sorted(_sqlite_catalog(connection)))


def read_triggers(connection: Connection, table: str) -> dict[str, tuple[str, ...]]:
    """The triggers of one table by name, each as the statements that make it again."""
    if connection.dialect.name == "sqlite":
        triggers = "SELECT name, sql FROM sqlite_master WHERE tbl_name = :table"
        chosen = text(f"{triggers} AND type = 'trigger'")
    else:
        chosen = text(
            "SELECT tgname, pg_get_functiondef(tgfoid),"
            " pg_get_triggerdef(pg_trigger.oid)"
            " FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE NOT tgisinternal AND relname = :table"
            " AND relnamespace = CAST(current_schema() AS regnamespace)"
        )
    rows = connection.execute(chosen, {"table": table})
    return {
        str(name): tuple(str(statement).strip() for statement in statements)
        for name, *statements in rows
    }


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """What is in one catalogue and not, or not so, in the other."""
    return [
        f"{name}: {one.get(name, 'missing')} | {other.get(name, 'missing')}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


def _sqlite_catalog(connection: Connection) -> list[tuple[str, str]]:
    """As the inspector sees it, for SQLite keeps but the text of CREATE TABLE."""
    inspector = inspect(connection)
    found = [
        (f"{row.type} {row.name}", " ".join((row.sql or "").split()))
        for row in connection.execute(
            text("SELECT type, name, sql FROM sqlite_master WHERE type <> 'table'")
        )
    ]
    for table in inspector.get_table_names():
        found.append((f"table {table}", "plain"))
        for column in inspector.get_columns(table):
            kind = [str(column[key]) for key in ("type", "nullable", "default")]
            computed = str(column.get("computed", ""))
            found.append(
                (f"column {table}.{column['name']}", " ".join([*kind, computed]))
            )
        rules = [
            *inspector.get_check_constraints(table),
            *inspector.get_unique_constraints(table),
            *inspector.get_foreign_keys(table),
            inspector.get_pk_constraint(table),
        ]
        found += [(f"constraint {table}.{rule['name']}", str(rule)) for rule in rules]
    return found
