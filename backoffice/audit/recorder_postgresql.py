"""How does PostgreSQL take many entries at once? As columns, by one statement."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Insert, Table, column, func, literal, select

from backoffice.audit.models import AuditEntry


def insert_postgresql(rows: Sequence[Mapping[str, Any]]) -> Insert:
    """The insertion of entries; it takes less than one after the other."""
    table: Table = AuditEntry.__table__  # type: ignore[assignment]
    own = [table.c[name] for name in rows[0]]
    arrays = [literal([row[c.name] for row in rows], ARRAY(c.type)) for c in own]
    columns: list[Any] = [column(c.name, c.type) for c in own]
    given = func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
    return table.insert().from_select(own, select(given), include_defaults=False)
