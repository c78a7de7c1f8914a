"""Which indexes are built after the rows, and not with them?

An index that grows row by row costs several times what it costs to build it of all
rows at once. So a large table gives up its plain indexes before it is filled and gets
the same ones back afterwards, in the same transaction. What refuses rows (primary
keys, unique indexes, foreign keys) stays as it is throughout.
"""

from sqlalchemy import Connection, Table, text

from backoffice.database.copy import driver_connection, name_of

# For fewer rows than this the lock that dropping takes is not worth it: it keeps
# readers of the table waiting until the end.
ROWS = 50_000
# What one build may use; PostgreSQL's own default is made for small machines.
MEMORY = "256MB"

# An index that carries more than its definition says is left alone, and so are those of
# a table whose checks wait for the commit: nothing can be built while they wait.
_PLAIN = text("""\
SELECT index_class.oid::regclass::text AS name, pg_get_indexdef(index_class.oid) AS made
FROM pg_index JOIN pg_class AS index_class ON index_class.oid = indexrelid
WHERE indrelid = to_regclass(:table) AND indisvalid
  AND NOT (indisunique OR indisprimary OR indisexclusion)
  AND NOT (indisclustered OR indisreplident)
  AND obj_description(indexrelid, 'pg_class') IS NULL
  AND index_class.relkind = 'i' AND NOT index_class.relispartition
  AND index_class.reltablespace = 0
  AND NOT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = indexrelid AND attstattarget >= 0)
  AND NOT EXISTS (
    SELECT FROM pg_depend WHERE refobjid = indexrelid OR
      (objid = indexrelid AND deptype IN ('e', 'i', 'x')))
  AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = indrelid AND tgdeferrable)
ORDER BY index_class.relname""")


def drop_indexes(connection: Connection, table: Table) -> list[str]:
    """Drop the plain indexes of a table; the statements that make them again."""
    name = name_of(table).as_string(driver_connection(connection))
    found = connection.execute(_PLAIN, {"table": name}).all()
    # The catalogue's own words are quoted already.
    _run(connection, [f"DROP INDEX {index.name}" for index in found])
    return [index.made for index in found]


def build_indexes(connection: Connection, definitions: list[str]) -> None:
    """Make them again, of all rows at once."""
    if not definitions:
        return
    connection.execute(
        text("SELECT set_config('maintenance_work_mem', :memory, true)"),
        {"memory": MEMORY},
    )
    _run(connection, definitions)


def _run(connection: Connection, statements: list[str]) -> None:
    with driver_connection(connection).cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.encode())
