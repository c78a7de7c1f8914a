"""Nobody writes the count of a course by hand, and emotions are scores."""

from alembic import op

from backoffice.database.triggers import execute_on

revision = "0003_honest_counts"
down_revision = "0002_full_courses"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was written by hand until now.
    op.execute(
        "UPDATE courses SET enrolled = "
        "(SELECT count(*) FROM enrollments WHERE course_id = courses.id) "
        "WHERE enrolled <> "
        "(SELECT count(*) FROM enrollments WHERE course_id = courses.id)"
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE FUNCTION courses_only_counted() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_courses_only_counted',
            TABLE = 'courses',
            HINT = 'backoffice:field=enrolled',
            MESSAGE = 'Enrolled is counted from the enrollments; nobody writes it.';
        END $$""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER courses_only_counted_insert BEFORE INSERT
        ON courses FOR EACH ROW WHEN (NEW.enrolled <> 0 AND pg_trigger_depth() = 0)
        EXECUTE FUNCTION courses_only_counted()""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER courses_only_counted_update BEFORE UPDATE OF enrolled
        ON courses FOR EACH ROW WHEN (NEW.enrolled IS DISTINCT FROM OLD.enrolled AND pg_trigger_depth() = 0)
        EXECUTE FUNCTION courses_only_counted()""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS courses_only_counted_insert BEFORE INSERT ON courses
        FOR EACH ROW WHEN NEW.enrolled <> 0
        BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=enrolled: Enrolled is counted from the enrollments; nobody writes it.');
        END""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS courses_only_counted_update BEFORE UPDATE OF enrolled ON courses
        FOR EACH ROW WHEN NEW.enrolled <> OLD.enrolled AND NEW.enrolled <>
          (SELECT count(*) FROM enrollments WHERE course_id = NEW.id)
        BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=enrolled: Enrolled is counted from the enrollments; nobody writes it.');
        END""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS text_analyses_scores_insert BEFORE INSERT ON text_analyses
        FOR EACH ROW WHEN NEW.emotions IS NOT NULL AND CASE WHEN NOT json_valid(NEW.emotions) THEN 1
          WHEN json_type(NEW.emotions) <> 'object' THEN 1
          ELSE EXISTS (SELECT 1 FROM json_each(NEW.emotions)
            WHERE type NOT IN ('integer', 'real') OR value < 0 OR value > 1) END
        BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=emotions: Each emotion has a score from 0 to 1, as in {"joy": 0.8}.');
        END""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS text_analyses_scores_update BEFORE UPDATE OF emotions ON text_analyses
        FOR EACH ROW WHEN NEW.emotions IS NOT NULL AND CASE WHEN NOT json_valid(NEW.emotions) THEN 1
          WHEN json_type(NEW.emotions) <> 'object' THEN 1
          ELSE EXISTS (SELECT 1 FROM json_each(NEW.emotions)
            WHERE type NOT IN ('integer', 'real') OR value < 0 OR value > 1) END
        BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=emotions: Each emotion has a score from 0 to 1, as in {"joy": 0.8}.');
        END""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        ALTER TABLE text_analyses ADD CONSTRAINT ck_text_analyses_emotions_are_scores
        CHECK (jsonb_typeof(emotions) = 'object' AND NOT jsonb_path_exists(emotions,
          'strict $.* ? (@.type() <> "number" || @ < 0 || @ > 1)', '{}', true))""",
    )


def downgrade() -> None:
    execute_on(
        op,
        "postgresql",
        "ALTER TABLE text_analyses DROP CONSTRAINT ck_text_analyses_emotions_are_scores",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS text_analyses_scores_update",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS text_analyses_scores_insert",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS courses_only_counted_update",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS courses_only_counted_insert",
    )
    execute_on(
        op,
        "postgresql",
        "DROP FUNCTION IF EXISTS courses_only_counted() CASCADE",
    )
