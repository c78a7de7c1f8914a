"""Who is meant, in the history, by a part of a name or of an e-mail address?"""

from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Integer,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from backoffice.admin.call import Call
from backoffice.auth.models import User
from backoffice.auth.permissions import may
from backoffice.bulk.timeline import Actors
from backoffice.database.values import shown

# So many names are offered; others are typed.
OFFERED = 200
# The changes of so many people are put together.
MOST = 50


@dataclass(frozen=True, slots=True)
class People:
    """Who is meant by what was typed, and the names that may be typed."""

    offered: tuple[str, ...]
    actors: Actors | None
    # What the typed text is a part of, and the text itself; nothing where none was.
    part: str
    typed: str
    has_more: bool

    @property
    def several(self) -> str:
        """How many people are meant, where that is more than one."""
        number = len(self.actors.ids) if self.actors else 0
        if self.has_more:
            return (
                f"More than {MOST} people have {self.typed} in their {self.part}. "
                f"What {MOST} of them have done is shown; type more of it."
            )
        if number > 1:
            return f"{number} people have {self.typed} in their {self.part}."
        return ""

    @property
    def nobody(self) -> str:
        """That nobody is meant, where that is so."""
        if self.actors is None or self.actors.ids:
            return ""
        return (
            f"Nobody has {self.typed} in their {self.part}, and nothing of this was "
            "done under that name."
        )


def people_of(call: Call, text: str) -> People:
    """The accounts that have `text` in their name, deleted ones too; one statement.

    Also in their e-mail address, for who may see addresses. Names that no account has
    any more, and those of commands, are meant only by the whole of them.
    """
    # Accounts are tens or thousands, the history may be millions: it is not asked.
    sees_addresses = may(call.login.role, "list", "account")
    known = select(
        literal_column("0", Integer).label("is_meant"),
        cast(null(), User.id.type).label("id"),
        User.name.label("name"),
    ).where(User.deleted_at.is_(None))
    parts = [known.distinct().order_by(User.name).limit(OFFERED)]
    if text:
        columns = [User.name, User.email] if sees_addresses else [User.name]
        fits: ColumnElement[bool] = or_(
            *(column.icontains(text, autoescape=True) for column in columns)
        )
        is_meant = literal_column("1", Integer).label("is_meant")
        meant = select(is_meant, User.id, User.name).where(fits)
        whole = func.lower(User.name) == func.lower(text)
        order = (whole.desc(), User.deleted_at.is_not(None), User.name, User.id)
        parts.append(meant.order_by(*order).limit(MOST + 1))
    found = union_all(*(select(part.subquery()) for part in parts))
    rows = call.session.execute(found).all()
    ids = tuple(str(one.id) for one in rows if one.is_meant)
    return People(
        offered=tuple(sorted(one.name for one in rows if not one.is_meant)),
        actors=Actors(ids[:MOST], text) if text else None,
        part="name or e-mail" if sees_addresses else "name",
        typed=f"“{shown(text)}”",
        has_more=len(ids) > MOST,
    )
