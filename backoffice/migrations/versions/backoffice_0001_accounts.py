"""Accounts, their sessions, failed logins, and the history of changes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from backoffice.database.triggers import execute_on, leave_updated_at, touch_updated_at

revision = "backoffice_0001_accounts"
down_revision = None
branch_labels = ("backoffice",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backoffice_audit",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=True),
            nullable=False,
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.Column("actor_id", sa.String(length=64), nullable=True),
        sa.Column("actor_label", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("view", sa.String(length=100), server_default="", nullable=False),
        sa.Column(
            "table_name", sa.String(length=130), server_default="", nullable=False
        ),
        sa.Column("key", sa.String(), server_default="", nullable=False),
        sa.Column("label", sa.String(length=200), server_default="", nullable=False),
        sa.Column(
            "changes",
            sa.JSON().with_variant(
                postgresql.JSONB(astext_type=sa.Text()), "postgresql"
            ),
            server_default="{}",
            nullable=False,
        ),
        sa.Column(
            "request_id", sa.String(length=64), server_default="", nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backoffice_audit")),
    )
    with op.batch_alter_table("backoffice_audit", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_backoffice_audit_at_id"), ["at", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_backoffice_audit_table_name_key_id"),
            ["table_name", "key", "id"],
            unique=False,
        )

    op.create_table(
        "backoffice_login_attempts",
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("network", sa.String(length=45), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "last_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "failures >= 0", name=op.f("ck_backoffice_login_attempts_failures")
        ),
        sa.PrimaryKeyConstraint(
            "email", "network", name=op.f("pk_backoffice_login_attempts")
        ),
    )
    with op.batch_alter_table("backoffice_login_attempts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_backoffice_login_attempts_last_at", ["last_at"], unique=False
        )

    op.create_table(
        "backoffice_users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.CheckConstraint(
            "email LIKE '%_@_%'", name=op.f("ck_backoffice_users_email")
        ),
        sa.CheckConstraint("name <> ''", name=op.f("ck_backoffice_users_name")),
        sa.CheckConstraint(
            "role IN ('admin', 'ops', 'editor', 'viewer')",
            name=op.f("ck_backoffice_users_role"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backoffice_users")),
    )
    with op.batch_alter_table("backoffice_users", schema=None) as batch_op:
        batch_op.create_index(
            "ix_backoffice_users_name_id",
            ["name", "id"],
            unique=False,
            postgresql_where=sa.text("deleted_at IS NULL"),
            sqlite_where=sa.text("deleted_at IS NULL"),
        )
        batch_op.create_index(
            "uq_backoffice_users_email",
            [sa.literal_column("lower(email)")],
            unique=True,
            postgresql_where=sa.text("deleted_at IS NULL"),
            sqlite_where=sa.text("deleted_at IS NULL"),
        )

    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE FUNCTION backoffice_users_last_admin() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
          IF NOT EXISTS (SELECT FROM gone WHERE role = 'admin' AND is_active AND deleted_at IS NULL) THEN
            RETURN NULL;
          END IF;
          PERFORM pg_advisory_xact_lock(1818325876);
          IF NOT EXISTS (SELECT FROM backoffice_users WHERE role = 'admin' AND is_active AND deleted_at IS NULL) THEN
            RAISE EXCEPTION 'This is the last active administrator; make another one first.' USING ERRCODE = 'check_violation',
              CONSTRAINT = 'ck_backoffice_users_last_admin', HINT = 'backoffice:field=';
          END IF;
          RETURN NULL;
        END $$""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER backoffice_users_last_admin_update AFTER UPDATE ON backoffice_users
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION backoffice_users_last_admin()""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE FUNCTION backoffice_users_last_admin() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
          IF NOT EXISTS (SELECT FROM gone WHERE role = 'admin' AND is_active AND deleted_at IS NULL) THEN
            RETURN NULL;
          END IF;
          PERFORM pg_advisory_xact_lock(1818325876);
          IF NOT EXISTS (SELECT FROM backoffice_users WHERE role = 'admin' AND is_active AND deleted_at IS NULL) THEN
            RAISE EXCEPTION 'This is the last active administrator; make another one first.' USING ERRCODE = 'check_violation',
              CONSTRAINT = 'ck_backoffice_users_last_admin', HINT = 'backoffice:field=';
          END IF;
          RETURN NULL;
        END $$""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER backoffice_users_last_admin_delete AFTER DELETE ON backoffice_users
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION backoffice_users_last_admin()""",
    )
    touch_updated_at(op, "backoffice_users")
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS backoffice_users_last_admin_update AFTER UPDATE ON backoffice_users
        WHEN OLD.role = 'admin' AND OLD.is_active AND OLD.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM backoffice_users WHERE role = 'admin' AND is_active AND deleted_at IS NULL)
        BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=: This is the last active administrator; make another one first.');
        END""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS backoffice_users_last_admin_delete AFTER DELETE ON backoffice_users
        WHEN OLD.role = 'admin' AND OLD.is_active AND OLD.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM backoffice_users WHERE role = 'admin' AND is_active AND deleted_at IS NULL)
        BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=: This is the last active administrator; make another one first.');
        END""",
    )
    op.create_table(
        "backoffice_sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "user_agent", sa.String(length=200), server_default="", nullable=False
        ),
        sa.Column("ip", sa.String(length=45), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["backoffice_users.id"],
            name=op.f("fk_backoffice_sessions_user_id_backoffice_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backoffice_sessions")),
    )
    with op.batch_alter_table("backoffice_sessions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_backoffice_sessions_expires_at", ["expires_at"], unique=False
        )
        batch_op.create_index(
            "ix_backoffice_sessions_user_id", ["user_id", "created_at"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("backoffice_sessions", schema=None) as batch_op:
        batch_op.drop_index("ix_backoffice_sessions_user_id")
        batch_op.drop_index("ix_backoffice_sessions_expires_at")

    op.drop_table("backoffice_sessions")
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS backoffice_users_last_admin_delete",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS backoffice_users_last_admin_update",
    )
    leave_updated_at(op, "backoffice_users")
    execute_on(
        op,
        "postgresql",
        """\
        DO $$ BEGIN
          IF to_regclass('backoffice_users') IS NOT NULL THEN
            DROP TRIGGER IF EXISTS backoffice_users_last_admin_delete ON backoffice_users;
          END IF;
          IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = to_regproc('backoffice_users_last_admin')) THEN
            DROP FUNCTION IF EXISTS backoffice_users_last_admin();
          END IF;
        END $$""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        DO $$ BEGIN
          IF to_regclass('backoffice_users') IS NOT NULL THEN
            DROP TRIGGER IF EXISTS backoffice_users_last_admin_update ON backoffice_users;
          END IF;
          IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = to_regproc('backoffice_users_last_admin')) THEN
            DROP FUNCTION IF EXISTS backoffice_users_last_admin();
          END IF;
        END $$""",
    )
    with op.batch_alter_table("backoffice_users", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_backoffice_users_email",
            postgresql_where=sa.text("deleted_at IS NULL"),
            sqlite_where=sa.text("deleted_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_backoffice_users_name_id",
            postgresql_where=sa.text("deleted_at IS NULL"),
            sqlite_where=sa.text("deleted_at IS NULL"),
        )

    op.drop_table("backoffice_users")
    with op.batch_alter_table("backoffice_login_attempts", schema=None) as batch_op:
        batch_op.drop_index("ix_backoffice_login_attempts_last_at")

    op.drop_table("backoffice_login_attempts")
    with op.batch_alter_table("backoffice_audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_backoffice_audit_table_name_key_id"))
        batch_op.drop_index(batch_op.f("ix_backoffice_audit_at_id"))

    op.drop_table("backoffice_audit")
