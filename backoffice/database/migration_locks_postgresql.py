"""What would a migration's statements keep others from, on the tables that are there?

The locks are those that PostgreSQL's manual names for each kind of statement. Nothing
is run: the statements are read as text, and a kind that is not known says nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

EXCLUSIVE, ROW_WRITES = "ACCESS EXCLUSIVE", "ROW EXCLUSIVE"
NO_WRITES, NO_WRITES_NOR_KEYS = "SHARE", "SHARE ROW EXCLUSIVE"
NO_CHANGES = "SHARE UPDATE EXCLUSIVE"
MEANING = {
    EXCLUSIVE: "nobody reads or writes it meanwhile",
    NO_WRITES_NOR_KEYS: "nobody writes it meanwhile",
    NO_WRITES: "nobody writes it meanwhile",
    NO_CHANGES: "people go on reading and writing it",
    ROW_WRITES: "the rows that it writes are held until the end",
}
LONGEST = 100

# Texts, names, bodies and comments are no place where a statement ends.
_PARTS = re.compile(
    r"""'(?:[^']|'')*' | "[^"]*" | (\$\w*\$).*?\1 | --[^\n]* | /\*.*?\*/ | ; | [^;]""",
    re.DOTALL | re.VERBOSE,
)
_NAME = r'(?:only\s+)?((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)'
_IF = r"(?:if\s+(?:not\s+)?exists\s+)?"
# (statement, lock): the first that fits says the lock on the table in its group.
_RULES: tuple[tuple[str, str], ...] = (
    (rf"alter\s+table\s+{_IF}{_NAME}\s+validate\s+constraint\b", NO_CHANGES),
    (rf"alter\s+table\s+{_IF}{_NAME}\s+.*\bforeign\s+key\b", NO_WRITES_NOR_KEYS),
    (rf"alter\s+table\s+{_IF}{_NAME}\s+(?:en|dis)able\s+trigger\b", NO_WRITES_NOR_KEYS),
    (rf"alter\s+table\s+{_IF}{_NAME}\s+.*\bset\s+(?:statistics\b|\()", NO_CHANGES),
    (rf"alter\s+table\s+{_IF}{_NAME}", EXCLUSIVE),
    (rf"drop\s+table\s+{_IF}{_NAME}", EXCLUSIVE),
    (rf"truncate\s+(?:table\s+)?{_NAME}", EXCLUSIVE),
    (
        rf"create\s+(?:unique\s+)?index\s+concurrently\s+.*?\bon\s+{_NAME}",
        NO_CHANGES,
    ),
    (rf"create\s+(?:unique\s+)?index\s+.*?\bon\s+{_NAME}", NO_WRITES),
    (rf"drop\s+index\s+concurrently\s+{_IF}{_NAME}", NO_CHANGES),
    (rf"drop\s+index\s+{_IF}{_NAME}", EXCLUSIVE),
    (
        rf"create\s+(?:or\s+replace\s+)?(?:constraint\s+)?trigger\s+.*?\bon\s+{_NAME}",
        NO_WRITES_NOR_KEYS,
    ),
    (rf"drop\s+trigger\s+.*?\bon\s+{_NAME}", EXCLUSIVE),
    (rf"insert\s+into\s+{_NAME}", ROW_WRITES),
    (rf"update\s+{_NAME}", ROW_WRITES),
    (rf"delete\s+from\s+{_NAME}", ROW_WRITES),
)
_REFERS = re.compile(rf"\breferences\s+{_NAME}", re.IGNORECASE)

_SIZE = text(
    "SELECT owner.oid::regclass::text, owner.reltuples, pg_relation_size(owner.oid)"
    " FROM pg_class AS named LEFT JOIN pg_index ON indexrelid = named.oid"
    " JOIN pg_class AS owner ON owner.oid = coalesce(indrelid, named.oid)"
    " WHERE named.oid = to_regclass(:name)"
)


@dataclass(frozen=True, slots=True)
class TableLock:
    """A statement of a migration, and the lock it takes on a table that is there."""

    statement: str
    mode: str
    table: str
    rows: int | None
    size: int

    def words(self) -> str:
        """The lock in one line: "SHARE on students (1,000,000 rows, 98 MB): …"."""
        rows = "never analyzed" if self.rows is None else f"about {self.rows:,} rows"
        if self.rows == 1:
            rows = "about 1 row"
        size = f"{self.size / 1_048_576:,.1f} MB"
        return f"{self.mode} on {self.table} ({rows}, {size}): {MEANING[self.mode]}"


def table_locks(connection: Connection, script: str) -> Iterator[TableLock]:
    """The locks that the statements of a script take on tables that are there now."""
    for statement in statements_of(script):
        for mode, name in locks_of(statement):
            found = connection.execute(_SIZE, {"name": name}).first()
            if found is not None:
                table, rows, size = found
                known = int(rows) if rows >= 0 else None
                yield TableLock(_in_a_line(statement), mode, table, known, int(size))


def statements_of(script: str) -> Iterator[str]:
    """The statements of a script, without comments."""
    gathered = ""
    for found in _PARTS.finditer(script):
        part = found.group()
        if part == ";":
            if gathered.strip():
                yield gathered.strip()
            gathered = ""
        elif not part.startswith(("--", "/*")):
            gathered += part
    if gathered.strip():
        yield gathered.strip()


def locks_of(statement: str) -> Iterator[tuple[str, str]]:
    """Each lock with the name of what it is on, as the statement calls it."""
    for pattern, mode in _RULES:
        found = re.match(pattern, statement, re.IGNORECASE | re.DOTALL)
        if found is not None:
            yield mode, found.group(1)
            break
    if re.match(r"(?:create|alter)\s+table\b", statement, re.IGNORECASE):
        # A new foreign key keeps the rows that it refers to from going away.
        for name in dict.fromkeys(_REFERS.findall(statement)):
            yield NO_WRITES_NOR_KEYS, name


def _in_a_line(statement: str) -> str:
    line = " ".join(statement.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
