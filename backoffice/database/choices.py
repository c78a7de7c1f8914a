"""Which values a column of choices may have, and how each is called.

A choice is stored as plain text, read back as plain text, and held by a CHECK: the
same on every database, readable in SQL, and changed by a migration without a type.
A `StrEnum` names the values in code; its members compare equal to the text.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import MappedColumn, mapped_column
from sqlalchemy.types import String

# The key of `Column.info` that holds the choices, as (value, label).
CHOICES = "choices"


def choice_column(
    choices: type[StrEnum], *, default: StrEnum, **info: str
) -> MappedColumn[str]:
    """A text column that offers the members of `choices`; `one_of` makes it hold."""
    longest = max(len(choice.value) for choice in choices)
    return mapped_column(
        String(max(longest, 20)),
        default=default.value,
        server_default=default.value,
        info={CHOICES: [(c.value, label_of(c)) for c in choices], **info},
    )


def one_of(column: str, choices: type[StrEnum]) -> CheckConstraint:
    """The rule that `column` holds one of `choices`."""
    values = ", ".join(
        "'" + choice.value.replace("'", "''") + "'" for choice in choices
    )
    info: dict[str, Any] = {"fields": [column], "message": sentence(choices)}
    return CheckConstraint(f"{column} IN ({values})", name=f"{column}_known", info=info)


def sentence(choices: type[StrEnum]) -> str:
    """What would be right, in words."""
    *first, last = (label_of(choice) for choice in choices)
    return f"Choose {', '.join(first)} or {last}." if first else f"Choose {last}."


def label_of(choice: StrEnum) -> str:
    """`on_leave` in words: "On leave"."""
    return choice.value.replace("_", " ").capitalize()
