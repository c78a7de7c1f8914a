"""How PostgreSQL reads entries whose values are long: the beginnings alone.

A history shows a line of each value. A text of megabytes that was changed a few times
would come whole, before and after, with every page that shows who changed it.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB

from backoffice.audit.models import AuditEntry

# Bytes as they are stored, often compressed: below, an entry is read as it is.
LARGE = 8_000
# Characters of both values together, and of the beginning of each.
LONG, SHOWN = 4_000, 1_000


def short_changes(entry: type[AuditEntry]) -> ColumnElement[Any]:
    """The changes, each long value as a text of its beginning."""
    changes = entry.changes
    each = func.jsonb_each(cast(changes, JSONB)).table_valued("key", "value")
    value = cast(each.c.value, JSONB)
    beginnings = func.jsonb_build_array(
        func.left(value[0].astext, SHOWN), func.left(value[1].astext, SHOWN)
    )
    short = case((func.length(cast(value, Text)) > LONG, beginnings), else_=value)
    gathered = select(func.jsonb_object_agg(each.c.key, short)).scalar_subquery()
    return case(
        (func.pg_column_size(changes) > LARGE, func.coalesce(gathered, changes)),
        else_=cast(changes, JSONB),
    ).label("changes")
