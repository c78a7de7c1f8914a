"""Which foreign keys does the database itself hold, whether a model knows or not?"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

# Of a partitioned table once, not once for each of its partitions.
_POSTGRESQL = """
SELECT con.conname, here.nspname, tab.relname, pg_table_is_visible(tab.oid),
  there.nspname, ref.relname, pg_table_is_visible(ref.oid),
  (SELECT array_agg(CAST(attname AS text) ORDER BY place)
    FROM unnest(con.conkey) WITH ORDINALITY AS own (number, place)
    JOIN pg_attribute ON attrelid = tab.oid AND attnum = number),
  (SELECT array_agg(CAST(attname AS text) ORDER BY place)
    FROM unnest(con.confkey) WITH ORDINALITY AS own (number, place)
    JOIN pg_attribute ON attrelid = ref.oid AND attnum = number),
  CASE con.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL'
    WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END,
  has_schema_privilege(here.oid, 'USAGE') AND has_table_privilege(tab.oid, 'SELECT'),
  has_any_column_privilege(tab.oid, 'UPDATE') AND NOT row_security_active(tab.oid)
FROM pg_constraint con
JOIN pg_class tab ON tab.oid = con.conrelid
JOIN pg_namespace here ON here.oid = tab.relnamespace
JOIN pg_class ref ON ref.oid = con.confrelid
JOIN pg_namespace there ON there.oid = ref.relnamespace
WHERE con.contype = 'f' AND con.conparentid = 0
ORDER BY here.nspname, tab.relname, con.conname
"""
_SQLITE = """
SELECT own.name, key.id, key."table", key."from", key."to", key.on_delete
FROM sqlite_master AS own, pragma_foreign_key_list(own.name) AS key
WHERE own.type = 'table' ORDER BY own.name, key.id, key.seq
"""
_SQLITE_KEYS = """
SELECT own.name, col.name FROM sqlite_master AS own, pragma_table_info(own.name) AS col
WHERE own.type = 'table' AND col.pk > 0 ORDER BY own.name, col.pk
"""


@dataclass(frozen=True, slots=True)
class TableName:
    """A table as the catalogue names it."""

    name: str
    schema: str = ""
    # Its name alone means it.
    is_visible: bool = True

    @property
    def written(self) -> str:
        """As one writes it: with its schema where its name alone does not mean it."""
        return self.name if self.is_visible else f"{self.schema}.{self.name}"

    def is_called(self, name: str, schema: str | None) -> bool:
        """Whether a model's table of this name is this one."""
        if name != self.name:
            return False
        return self.is_visible if schema is None else schema == self.schema


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One foreign key as the database enforces it."""

    name: str
    table: TableName
    columns: tuple[str, ...]
    referred: TableName
    referred_columns: tuple[str, ...]
    # "CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT" or "NO ACTION".
    on_delete: str
    # The rows that refer may be read by who asks.
    is_readable: bool = True
    # They may be locked, and none is hidden from who locks them.
    is_lockable: bool = False


def read_foreign_keys(connection: Connection) -> tuple[ForeignKey, ...]:
    """Every foreign key of the database, in a stable order; one statement or two."""
    if connection.dialect.name == "sqlite":
        return _of_sqlite(connection)
    return tuple(
        ForeignKey(
            name=row[0],
            table=TableName(row[2], row[1], row[3]),
            columns=tuple(row[7]),
            referred=TableName(row[5], row[4], row[6]),
            referred_columns=tuple(row[8]),
            on_delete=row[9],
            is_readable=row[10],
            is_lockable=row[11],
        )
        for row in connection.execute(text(_POSTGRESQL))
    )


def _of_sqlite(connection: Connection) -> tuple[ForeignKey, ...]:
    """SQLite names no columns where the primary key is meant, and no letter's case."""
    keys: dict[str, list[str]] = {}
    for table, column in connection.execute(text(_SQLITE_KEYS)):
        keys.setdefault(table, []).append(column)
    names = {name.lower(): name for name in keys}
    parts: dict[tuple[str, int], list[tuple[str, str, str | None, str]]] = {}
    for table, number, referred, own, other, action in connection.execute(
        text(_SQLITE)
    ):
        found = names.get(referred.lower(), referred)
        parts.setdefault((table, number), []).append((found, own, other, action))
    return tuple(
        ForeignKey(
            name=f"{table} {number}",
            table=TableName(table),
            columns=tuple(own for _, own, _, _ in columns),
            referred=TableName(columns[0][0]),
            referred_columns=tuple(
                other or keys.get(columns[0][0], [""] * len(columns))[place]
                for place, (_, _, other, _) in enumerate(columns)
            ),
            on_delete=columns[0][3],
        )
        for (table, number), columns in parts.items()
    )
