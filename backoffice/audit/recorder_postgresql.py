"""How does PostgreSQL take many entries at once? As one document, by one statement."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Insert, Table, column, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from backoffice.audit.models import AuditEntry


def insert_postgresql(
    common: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
) -> Insert:
    """The insertion of entries that all have the same words, and `common` ones.

    Written as JSON at once they take a tenth of the time that arrays of them take.
    """
    table: Table = AuditEntry.__table__  # type: ignore[assignment]
    shared = {
        name: literal(value, table.c[name].type) for name, value in common.items()
    }
    own: list[Any] = [column(name, table.c[name].type) for name in entries[0]]
    document = literal(list(entries), JSONB)
    given = func.jsonb_to_recordset(document).table_valued(*own, name="given")
    rows = given.render_derived(with_types=True)
    return table.insert().from_select(
        [*shared, *rows.c.keys()],
        select(*shared.values(), *rows.c),
        include_defaults=False,
    )
