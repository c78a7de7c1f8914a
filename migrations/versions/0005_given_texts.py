"""A student's class and a product's category are given."""

import sqlalchemy as sa
from alembic import op

from backoffice.errors import MigrationProblem

revision = "0005_given_texts"
down_revision = "0004_shop_orders"
branch_labels = None
depends_on = None

GIVEN = (("products", "category"), ("students", "class_name"))


def upgrade() -> None:
    _refuse_empty_texts()
    for table, column in GIVEN:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.create_check_constraint(
                batch_op.f(f"ck_{table}_{column}_given"), f"{column} <> ''"
            )


def _refuse_empty_texts() -> None:
    """Nobody but the people here knows what belongs into rows that have none."""
    if op.get_context().as_sql:
        return
    found = [
        (table, column, rows)
        for table, column in GIVEN
        if (rows := op.get_bind().scalar(_empty(table, column)))
    ]
    if not found:
        return
    what = " and ".join(
        f"{rows:,} {'row' if rows == 1 else 'rows'} of {table} with an empty {column}"
        for table, column, rows in found
    )
    repairs = " ".join(
        f"UPDATE {table} SET {column} = 'unknown' WHERE {column} = '';"
        for table, column, _ in found
    )
    raise MigrationProblem(
        f"{revision} was not applied: it allows no empty text there, and it found "
        f"{what}. Give them one, as in `manage.py dbshell` with {repairs} Then run "
        "`manage.py migrate` again."
    )


def _empty(table: str, column: str) -> sa.TextClause:
    """How many rows are in the way."""
    return sa.text(f"SELECT count(*) FROM {table} WHERE {column} = ''")


def downgrade() -> None:
    for table, column in reversed(GIVEN):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(
                batch_op.f(f"ck_{table}_{column}_given"), type_="check"
            )
