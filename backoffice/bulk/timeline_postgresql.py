"""How PostgreSQL finds the newest entries of several people without reading all theirs.

Asked for "one of these, newest first" it reads either everybody's entries in order, or
every entry of each. So each is asked for by itself, in the order of an index, and their
few newest are merged.
"""

from typing import Any

from sqlalchemy import (
    Select,
    Subquery,
    Text,
    column,
    func,
    literal,
    select,
    true,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY

from backoffice.audit.models import AuditEntry


def newest_of_each(
    places: Select[Any], ids: tuple[str, ...], label: str, limit: int
) -> Subquery:
    """The keys of the newest `limit` of these entries, by any of the accounts or names.

    `places` are key and time of entries, in their order, at most `limit`.
    """
    accounts = func.unnest(literal(list(ids), ARRAY(Text)))
    one = accounts.table_valued(column("id", Text)).render_derived(name="one")
    own = places.where(AuditEntry.actor_id == one.c.id).correlate(one).lateral("own")
    under_name = places.where(AuditEntry.actor_label == label).subquery("under_name")
    # Who did it under that very name is found twice, and told of once.
    found = union(
        select(own.c.id, own.c.at).select_from(one).join(own, true()),
        select(under_name.c.id, under_name.c.at),
    ).subquery("found")
    newest = select(found.c.id).order_by(found.c.at.desc(), found.c.id.desc())
    return newest.limit(limit).subquery("newest")
