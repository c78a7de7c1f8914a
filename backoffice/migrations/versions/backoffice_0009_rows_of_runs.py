"""Rows of a run belong to it by triggers: a foreign key is checked row by row."""

from alembic import op

from backoffice.database.triggers import execute_on

revision = "backoffice_0009_rows_of_runs"
down_revision = "backoffice_0008_history_filters"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backoffice_run_rows", schema=None) as batch_op:
        batch_op.drop_constraint(
            batch_op.f("fk_backoffice_run_rows_run_id_backoffice_runs"),
            type_="foreignkey",
        )

    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE FUNCTION backoffice_run_rows_have_a_run() RETURNS trigger
        LANGUAGE plpgsql AS $$
        DECLARE
          number bigint;
        BEGIN
          FOR number IN SELECT DISTINCT run_id FROM written LOOP
            PERFORM FROM backoffice_runs WHERE id = number FOR KEY SHARE;
            IF NOT FOUND THEN
              RAISE EXCEPTION 'There is no run %.', number
                USING ERRCODE = 'foreign_key_violation';
            END IF;
          END LOOP;
          RETURN NULL;
        END $$""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER backoffice_run_rows_have_a_run AFTER INSERT ON backoffice_run_rows
        REFERENCING NEW TABLE AS written
        FOR EACH STATEMENT EXECUTE FUNCTION backoffice_run_rows_have_a_run()""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE FUNCTION backoffice_runs_take_their_rows() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
          DELETE FROM backoffice_run_rows WHERE run_id = OLD.id;
          RETURN NULL;
        END $$""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER backoffice_runs_take_their_rows AFTER DELETE ON backoffice_runs
        FOR EACH ROW EXECUTE FUNCTION backoffice_runs_take_their_rows()""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS backoffice_run_rows_have_a_run BEFORE INSERT ON backoffice_run_rows
        FOR EACH ROW WHEN NOT EXISTS (SELECT 1 FROM backoffice_runs WHERE id = NEW.run_id) BEGIN
          SELECT RAISE(ABORT, 'FOREIGN KEY constraint failed');
        END""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS backoffice_runs_take_their_rows AFTER DELETE ON backoffice_runs
        FOR EACH ROW BEGIN
          DELETE FROM backoffice_run_rows WHERE run_id = OLD.id;
        END""",
    )


def downgrade() -> None:
    for name in ("backoffice_runs_take_their_rows", "backoffice_run_rows_have_a_run"):
        execute_on(op, "sqlite", f"DROP TRIGGER IF EXISTS {name}")
    execute_on(
        op,
        "postgresql",
        "DROP FUNCTION IF EXISTS backoffice_runs_take_their_rows() CASCADE",
    )
    execute_on(
        op,
        "postgresql",
        "DROP FUNCTION IF EXISTS backoffice_run_rows_have_a_run() CASCADE",
    )
    with op.batch_alter_table("backoffice_run_rows", schema=None) as batch_op:
        batch_op.create_foreign_key(
            batch_op.f("fk_backoffice_run_rows_run_id_backoffice_runs"),
            "backoffice_runs",
            ["run_id"],
            ["id"],
            ondelete="CASCADE",
        )
