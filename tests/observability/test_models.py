from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, inspect

from backoffice.database.base import Base
from backoffice.database.migrations import ProjectMigrations, downgrade, upgrade
from backoffice.observability.models import (
    SlowStatement,
    StatementHour,
    StatementText,
    TableSize,
)
from backoffice.observability.statement_texts import table_of

OWN = [
    table_of(model)
    for model in (StatementText, SlowStatement, StatementHour, TableSize)
]
PROJECT = ProjectMigrations(directory=None, metadata=[Base.metadata])


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_the_migrations_make_what_the_models_say(
    request: Any, tmp_path: Any, dialect: str
) -> None:
    """After all migrations the catalogue has our tables as the models declare them."""
    url = f"sqlite:///{tmp_path / 'm.db'}"
    if dialect == "postgresql":
        url = request.getfixturevalue("empty_database")
    engine = create_engine(url)
    upgrade(engine, PROJECT, report=lambda _line: None)
    own = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in OWN:
        table.to_metadata(own)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": lambda name, kind, _parents: (
                    kind != "table" or name in own.tables
                ),
            },
        )
        found = [str(one) for one in compare_metadata(context, own)]
    if dialect == "sqlite":
        # It has neither identities nor kinds of numbers to compare.
        found = [one for one in found if "modify_" not in one]
    assert found == []
    engine.dispose()


def test_the_migration_can_be_undone(empty_database: Any) -> None:
    """Going back one revision leaves none of our tables."""
    engine = create_engine(empty_database)
    upgrade(engine, PROJECT, report=lambda _line: None)
    downgrade(
        engine, PROJECT, target="backoffice_0001_accounts", report=lambda _line: None
    )
    assert not {table.name for table in OWN} & set(inspect(engine).get_table_names())
    engine.dispose()
