"""How PostgreSQL finds the newest entries of several people without reading all theirs.

Asked for "one of these, newest first" it reads either everybody's entries in order, or
every entry of each. So each is asked for by itself, in the order of an index, and their
few newest are merged.
"""

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Subquery,
    Text,
    any_,
    column,
    func,
    literal,
    select,
    true,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from backoffice.audit.models import AuditEntry


def newest_of_each(
    asked: Select[Any],
    entry: type[AuditEntry],
    ids: tuple[str, ...],
    label: str,
    limit: int,
) -> Subquery:
    """The keys of the newest `limit` entries by any of the accounts, or so called.

    `asked` says which entries are asked for otherwise, of what is called `entry`.
    """
    place = asked.add_columns(entry.id, entry.at)
    places = place.order_by(entry.at.desc(), entry.id.desc()).limit(limit)
    who = func.unnest(_array(ids)).table_valued(column("id", Text))
    who = who.render_derived(name="who")
    own = places.where(entry.actor_id == who.c.id).correlate(who).lateral("own")
    so_called = places.where(entry.actor_label == label).subquery("so_called")
    # Who did it under that very name is found twice, and told of once.
    found = union(
        select(own.c.id, own.c.at).select_from(who).join(own, true()),
        select(so_called.c.id, so_called.c.at),
    ).subquery("found")
    newest = select(found.c.id).order_by(found.c.at.desc(), found.c.id.desc())
    return newest.limit(limit).subquery("newest")


def is_one_of(
    account: InstrumentedAttribute[str | None], ids: tuple[str, ...]
) -> ColumnElement[bool]:
    """Whether it is one of the accounts; the same statement for however many."""
    return account == any_(_array(ids))


def _array(ids: tuple[str, ...]) -> BindParameter[Any]:
    return literal(list(ids), ARRAY(Text))
