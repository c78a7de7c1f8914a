"""What would be written to the history if each of many records were deleted?

Entry by entry what the deletion of one record writes, found out for all of them with a
few statements. Nothing is deleted here.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Mapper, Session

from backoffice.audit.recorder import audited_columns, label_of
from backoffice.database.keys import format_key
from backoffice.editing.deletion import LIMIT
from backoffice.editing.deletion_entries import (
    counted,
    dependent_entry,
    forbidden,
    is_audited,
    mapper_of,
    nouns_of,
    own_entry,
)
from backoffice.editing.dependents import Fate
from backoffice.editing.dependents_of_many import (
    Line,
    count_rows,
    lines_of,
    read_rows,
)
from backoffice.errors import Refused

Entries = list[dict[str, Any]]


def entries_of_many(
    session: Session, mapper: Mapper[Any], records: Sequence[Any], limit: int = LIMIT
) -> list[Entries | Refused | None]:
    """For each record the entries of its deletion, or why something forbids it.

    None where what goes along depends on which records went before: there each has to
    be deleted by itself. The records are locked and loaded with all their columns.
    """
    lines = None if _is_in_parts(mapper) else lines_of(session, mapper)
    if lines is None:
        return [None] * len(records)
    told: list[Entries] = [[] for _ in records]
    holding: dict[int, list[str]] = {}
    is_met: set[Line | None] = {None}
    for line in lines:
        if line.above not in is_met or not line.reference.is_readable:
            continue
        counts = count_rows(session, mapper, records, line)
        if not counts:
            continue
        is_met.add(line)
        if line.reference.fate is Fate.FORBIDS:
            nouns = nouns_of(mapper_of(mapper, line.reference.table), line.reference)
            for place, count in counts.items():
                phrase = counted(min(count, limit), nouns, is_capped=count > limit)
                holding.setdefault(place, []).append(phrase)
            continue
        places = [place for place, count in counts.items() if count <= limit]
        _add_dependents(session, mapper, records, line, places, told)
    if is_audited(mapper.local_table):
        for place, record in enumerate(records):
            if place not in holding:
                told[place].append(_own(mapper, record))
    return [
        forbidden(holding[place]) if place in holding else entries
        for place, entries in enumerate(told)
    ]


def _is_in_parts(mapper: Mapper[Any]) -> bool:
    """Whether a record may stand in several tables, or be of a class of its own."""
    return len(mapper.tables) > 1 or mapper.polymorphic_on is not None


def _add_dependents(
    session: Session,
    mapper: Mapper[Any],
    records: Sequence[Any],
    line: Line,
    places: Sequence[int],
    told: list[Entries],
) -> None:
    own = mapper_of(mapper, line.reference.table)
    is_told = line.reference.fate is not Fate.LEFT and is_audited(line.reference.table)
    if own is None or not is_told or not places:
        return
    columns = dict(audited_columns(own))
    asked = list(columns.values())
    for place, row in read_rows(session, mapper, records, line, asked, places):
        values = dict(zip(columns, row, strict=True))
        told[place].append(dependent_entry(own, line.reference, columns, values))


def _own(mapper: Mapper[Any], record: Any) -> dict[str, Any]:
    key, loaded = format_key(mapper, record), record.__dict__
    values = {name: loaded[name] for name, _ in audited_columns(mapper)}
    return own_entry(mapper, key, label_of(mapper, record, key), values)
