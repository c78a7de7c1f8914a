"""On SQLite too a full course says how full it is."""

from alembic import op

from backoffice.database.triggers import execute_on

revision = "0002_full_courses"
down_revision = "0001_demo"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS enrollments_refuse_insert",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS enrollments_refuse_insert BEFORE INSERT ON enrollments
        FOR EACH ROW BEGIN
          SELECT RAISE(ABORT,
            'backoffice:field=course: {title} is full ({enrolled} of {capacity})')
          FROM courses WHERE id = NEW.course_id AND enrolled >= capacity;
        END""",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS enrollments_refuse_update",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS enrollments_refuse_update BEFORE UPDATE OF course_id ON enrollments
        FOR EACH ROW BEGIN
          SELECT RAISE(ABORT,
            'backoffice:field=course: {title} is full ({enrolled} of {capacity})')
          FROM courses WHERE id = NEW.course_id AND enrolled >= capacity AND id <> OLD.course_id;
        END""",
    )


def downgrade() -> None:
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS enrollments_refuse_update",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER enrollments_refuse_update BEFORE UPDATE OF course_id ON enrollments
        FOR EACH ROW BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=course: The course is full.')
          FROM courses WHERE id = NEW.course_id AND enrolled >= capacity AND id <> OLD.course_id;
        END""",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS enrollments_refuse_insert",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER enrollments_refuse_insert BEFORE INSERT ON enrollments
        FOR EACH ROW BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=course: The course is full.')
          FROM courses WHERE id = NEW.course_id AND enrolled >= capacity;
        END""",
    )
