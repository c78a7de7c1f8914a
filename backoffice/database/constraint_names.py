"""Which rules does a table have, and what does the database call each of them?"""

from collections.abc import Iterator
from typing import TypeAlias

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import ColumnCollectionConstraint

from backoffice.database.conditions import checks_of, columns_of, table_of

Rule: TypeAlias = ColumnCollectionConstraint | Index


def rules_of(table: Table) -> list[Rule]:
    """The constraints and indexes of a table that may refuse a row."""
    own = [
        constraint
        for constraint in table.constraints
        if isinstance(constraint, ColumnCollectionConstraint)
        and not isinstance(constraint, CheckConstraint)
    ]
    return [*own, *checks_of(table), *table.indexes]


def table_of_rule(rule: Rule) -> Table | None:
    """The table that the rule is of."""
    return table_of(rule) if isinstance(rule, CheckConstraint) else rule.table


def names_of(constraint: Rule, table: Table, dialect: Dialect) -> Iterator[str]:
    """What the database may call a constraint: its own name, or what it makes up."""
    # Without a name or a convention SQLAlchemy leaves the naming to the database.
    own = None
    if isinstance(constraint.name, str):
        own = dialect.identifier_preparer.format_constraint(
            constraint, _alembic_quote=False
        )
    if own:
        yield own
        return
    names = "_".join(column.name for column in constraint.columns)
    if isinstance(constraint, PrimaryKeyConstraint):
        yield f"{table.name}_pkey"
    elif isinstance(constraint, UniqueConstraint):
        yield f"{table.name}_{names}_key"
    elif isinstance(constraint, ForeignKeyConstraint):
        yield f"{table.name}_{names}_fkey"
    elif isinstance(constraint, CheckConstraint):
        mentioned = columns_of(constraint, table)
        if len(mentioned) == 1:
            yield f"{table.name}_{mentioned[0]}_check"
        else:
            yield f"{table.name}_check"
