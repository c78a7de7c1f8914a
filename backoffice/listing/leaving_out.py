"""What would be there, if one of several conditions were left out?

Asked only where all of them together find nothing: then it is the next thing to know.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backoffice.database.session import limit_statements
from backoffice.listing.counting import RowCount, count_each
from backoffice.listing.query import ListQuery
from backoffice.listing.spec import ListSpec
from backoffice.listing.statements import select_rows

# More conditions than these are not tried one by one, nor more rows counted.
MOST, COUNTED = 6, 1_000
# Nobody waits for a hint: what is not known by then is not said. Seconds.
PATIENCE = 0.4
SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Leaving:
    """One condition, the query without it, and how many rows that has.

    `path` is the filter's, or "search". `count` is None where it took too long.
    """

    path: str
    query: ListQuery
    count: RowCount | None


def without_each(
    session: Session, spec: ListSpec, query: ListQuery
) -> tuple[Leaving, ...]:
    """The query without each of its conditions; nothing where it has but one.

    In a savepoint with a time limit of its own, which is over when it ends.
    """
    shorter = dict(_shorter(query))
    if not 1 < len(shorter) <= MOST:
        return ()
    dialect = session.get_bind().dialect.name
    selects = {path: select_rows(spec, one, dialect) for path, one in shorter.items()}
    counts = _counts(session, selects)
    return tuple(Leaving(path, one, counts.get(path)) for path, one in shorter.items())


def _shorter(query: ListQuery) -> list[tuple[str, ListQuery]]:
    found = [(each.path, query.without_filter(each.path)) for each in query.filters]
    if query.terms:
        found.append((SEARCH, query.with_(search="")))
    return found


def _counts(session: Session, selects: dict[str, Select[Any]]) -> dict[str, RowCount]:
    try:
        with session.begin_nested() as savepoint:
            limit_statements(session, statement=PATIENCE, lock=PATIENCE)
            counts = count_each(session, selects, COUNTED)
            savepoint.rollback()  # and with it the limit
    except DBAPIError:
        return {}
    return counts
