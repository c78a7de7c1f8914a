"""What every table has: a naming convention, and the times of its rows."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, MetaData, func
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from backoffice.database.triggers import TOUCHED

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# Everything that is ours; the project's own tables have other names.
OWN_PREFIX = "backoffice_"


class Base(DeclarativeBase):
    """The declarative base that Backoffice's tables and a project's may share."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012


class Timestamps:
    """When a row was made and last changed; on PostgreSQL a trigger keeps the latter.

    `backoffice.database.triggers` attaches the trigger; elsewhere the ORM writes it.
    """

    @declared_attr
    @classmethod
    def created_at(cls) -> Mapped[datetime]:
        """When the row was made."""
        return mapped_column(
            DateTime(timezone=True),
            server_default=func.now(),
            sort_order=9_000,
            info={**COMPUTED, "label": "Created"},
        )

    @declared_attr
    @classmethod
    def updated_at(cls) -> Mapped[datetime]:
        """When the row was last changed, by whoever wrote it."""
        return mapped_column(
            DateTime(timezone=True),
            server_default=func.now(),
            onupdate=func.now(),
            sort_order=9_001,
            info={**COMPUTED, TOUCHED: True, "label": "Changed"},
        )


# `Column.info` keys that the floors above read:
#   read_only: str   who computes the column; forms show it and never write it
#   secret: True     never shown, logged, audited or exported, nor what is bound to it
#   bearer: True     who knows it may do something: what is bound to it is not kept
#   label: str       the column's name in words
#   hint: str        one line under the field
#   choices: list    (value, label) of every value it may have (`database.choices`)
# `Constraint.info` keys, and those of a unique `Index`:
#   fields: list[str]   the attributes a refusal is shown on
#   message: str        the sentence shown when the constraint refuses
COMPUTED: dict[str, Any] = {"read_only": "Kept by the database."}
