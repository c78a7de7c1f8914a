"""What is said and written of a record that is deleted, and of what hangs on it?"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, FromClause, Table
from sqlalchemy.orm import Mapper

from backoffice.audit.models import LABEL_LENGTH
from backoffice.audit.recorder import audit_value, audited_columns, audited_table
from backoffice.database.keys import format_key_values
from backoffice.database.words import (
    plural,
    record_word,
    records_word,
    sentence,
    table_word,
)
from backoffice.editing.dependents import Branch, Fate, Reference
from backoffice.errors import Refused


def mapper_of(mapper: Mapper[Any], table: FromClause) -> Mapper[Any] | None:
    """The class whose rows a table holds."""
    for own in mapper.registry.mappers:
        if own.local_table is table and own.inherits is None:
            return own
    return None


def nouns_of(own: Mapper[Any] | None, reference: Reference) -> tuple[str, str]:
    """What one row of those that refer is called, and several."""
    if own is not None:
        return record_word(own), records_word(own)
    if isinstance(reference.table, Table):
        word = table_word(reference.table)
        return word, plural(word)
    return f"row of {reference.name}", f"rows of {reference.name}"


def number(count: int, *, is_capped: bool) -> str:
    """A count as people read it: `12`, `more than 1,000`."""
    return f"more than {count:,}" if is_capped else f"{count:,}"


def counted(count: int, nouns: tuple[str, str], *, is_capped: bool) -> str:
    """The same with its noun: `1 order`, `more than 1,000 orders`."""
    is_one = count == 1 and not is_capped
    return f"{number(count, is_capped=is_capped)} {nouns[0] if is_one else nouns[1]}"


def forbidden(holding: Sequence[str]) -> Refused:
    """Why a record cannot go: by what it is still used."""
    return Refused({"": f"Still used by {' and '.join(holding)}."})


def own_entry(
    mapper: Mapper[Any], key: str, label: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    """The entry of the record itself: all of its old values."""
    return {
        "action": "delete",
        "table_name": audited_table(mapper),
        "key": key,
        "label": label,
        "changes": {
            k: [audit_value(column, values[k]), None]
            for k, column in audited_columns(mapper)
            if values[k] is not None
        },
    }


def is_recorded(own: Mapper[Any] | None, branch: Branch) -> bool:
    """Whether what happens to the rows is written to the history, row by row."""
    if branch.fate is Fate.FORBIDS or branch.fate is Fate.LEFT:
        return False
    return own is not None and not branch.is_capped and is_audited(branch.table)


def dependent_entry(
    own: Mapper[Any],
    reference: Reference,
    columns: Mapping[str, Column[Any]],
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """The entry of a record that goes along, or loses what it referred to."""
    identity = [
        values[own.get_property_by_column(column).key] for column in own.primary_key
    ]
    key = format_key_values(own, identity)
    gone = [k for k, value in values.items() if value is not None]
    if reference.fate is Fate.KEPT:
        emptied = set(reference.columns)
        gone = [k for k in gone if columns[k] in emptied]
    return {
        "action": "delete" if reference.fate is Fate.DELETED else "update",
        "table_name": audited_table(own),
        "key": key,
        "label": f"{sentence(record_word(own))} {key}"[:LABEL_LENGTH],
        "changes": {k: [audit_value(columns[k], values[k]), None] for k in gone},
    }


def is_audited(table: Any) -> bool:
    """Whether what happens to the rows of a table is written down."""
    return not isinstance(table, Table) or table.info.get("audit", True) is not False
