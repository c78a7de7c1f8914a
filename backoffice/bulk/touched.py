"""What does an update touch besides its columns, by the metadata?"""

from typing import Any

from sqlalchemy import CheckConstraint, Column

from backoffice.bulk.change import SetValues
from backoffice.database.conditions import checks_of, columns_of


def touched_checks(change: SetValues) -> list[CheckConstraint]:
    """The check constraints that look at a column that is set."""
    names = {one.column.name for one in change.assignments}
    return [
        check
        for check in checks_of(change.table)
        if names & set(columns_of(check, change.table))
    ]


def touched_indexes(change: SetValues) -> tuple[list[str], int]:
    """Names of the indexes that have a column that is set, and of how many in all."""
    columns: set[Column[Any]] = {one.column for one in change.assignments}
    found = [
        str(index.name)
        for index in sorted(change.table.indexes, key=lambda i: str(i.name))
        if columns & set(index.columns)
    ]
    return found, len(change.table.indexes)


def touched_references(change: SetValues) -> list[str]:
    """The tables whose rows the columns that are set refer to."""
    columns = {one.column for one in change.assignments}
    return sorted(
        {
            key.referred_table.name
            for key in change.table.foreign_key_constraints
            if columns & set(key.columns)
        }
    )
