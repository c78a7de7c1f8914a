"""Why did the database not write this record? In words, for the person who typed it."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Column, and_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, RelationshipProperty, Session

from backoffice.database.constraints import Case
from backoffice.database.refusals_postgresql import explain_postgresql
from backoffice.database.refusals_sqlite import explain_sqlite
from backoffice.database.triggers import refusal_of
from backoffice.database.values import format_value
from backoffice.errors import BackofficeError, Refused


def explain_refusal(
    error: DBAPIError,
    mapper: Mapper[Any],
    session: Session,
    *,
    values: Mapping[str, Any] | None = None,
    fields: Collection[str] | None = None,
) -> BackofficeError:
    """Why the database did not write a record of `mapper`, in words.

    `values` are the attributes that were to be written (or, of a delete, those of the
    record); `fields` the attributes and relationships that the form shows. A sentence
    about a foreign key goes to the relationship where there is one. The session must
    be able to run statements: roll back to a savepoint first.

    A lock that was waited for too long, a timeout or a lost connection are answered
    by their own errors. Anything that is a fault and no refusal is raised again.
    """
    case = Case(mapper, session, dict(values or {}), fields, error)
    found = refusal_of(error)
    if found is not None:
        key, message = found
        message = filled_in(case, key, message) or "The database refuses this."
        return Refused({case.field_for(key): _ended(message)})
    if getattr(error.orig, "diag", None) is not None or error.connection_invalidated:
        answer = explain_postgresql(case, error)
    else:
        answer = explain_sqlite(case, error)
    if answer is None:
        raise error
    return answer


def _ended(sentence: str) -> str:
    """A trigger's sentence with its full stop: between others it would run on."""
    ends = (".", "!", "?", "…", ":", ";")
    text = sentence.rstrip()
    return text if text.endswith(ends) else f"{text}."


_GAP = re.compile(r"\{(\w+)\}")


def filled_in(case: "Case", key: str, message: str) -> str:
    """A trigger's sentence with the columns of the record that its field refers to.

    "" where the record, or a column of it, cannot be found.
    """
    gaps = _GAP.findall(message)
    if not gaps:
        return message
    prop = case.mapper.attrs.get(key)
    if not isinstance(prop, RelationshipProperty):
        return ""
    pairs = [
        (remote, case.value(local))
        for local, remote in prop.local_remote_pairs or ()
        if isinstance(local, Column)
    ]
    known = prop.mapper.columns
    columns = [known[name] for name in gaps if name in known]
    is_known = len(columns) == len(gaps)
    if not is_known or any(value is None for _, value in pairs):
        return ""
    query = select(*columns).where(and_(*(column == value for column, value in pairs)))
    row = case.session.execute(query).first()
    if row is None:
        return ""
    texts = {
        name: format_value(column, value)
        for name, column, value in zip(gaps, columns, row, strict=True)
    }
    return _GAP.sub(lambda gap: texts[gap[1]], message)
