"""The table of a model, with its type known."""

from sqlalchemy import Table

from backoffice.database.base import Base


def table_of(model: type[Base]) -> Table:
    """The model's table, which is no join and no alias."""
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 - every model here has one of its own
    return table
