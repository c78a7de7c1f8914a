"""The demo's tables: a school, a shop, publishing, and analyses."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from backoffice.database.triggers import execute_on, leave_updated_at, touch_updated_at

revision = "0001_demo"
down_revision = None
branch_labels = None
depends_on = "backoffice_0001_accounts"


def upgrade() -> None:
    op.create_table(
        "authors",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=50), nullable=False),
        sa.Column("full_name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("bio", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
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
        sa.CheckConstraint("email LIKE '%_@_%'", name=op.f("ck_authors_email_has_at")),
        sa.CheckConstraint("full_name <> ''", name=op.f("ck_authors_full_name_given")),
        sa.CheckConstraint("username <> ''", name=op.f("ck_authors_username_given")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authors")),
        sa.UniqueConstraint(
            "username",
            name=op.f("uq_authors_username"),
            postgresql_include=["id", "full_name"],
        ),
    )
    with op.batch_alter_table("authors", schema=None) as batch_op:
        batch_op.create_index(
            "ix_authors_active",
            ["full_name", "id"],
            unique=False,
            postgresql_where=sa.text("is_active"),
            sqlite_where=sa.text("is_active"),
        )
        batch_op.create_index(
            "ix_authors_is_active_created_at", ["is_active", "created_at"], unique=False
        )
        batch_op.create_index(
            "uq_authors_lower_email", [sa.literal_column("lower(email)")], unique=True
        )

    touch_updated_at(op, "authors")
    op.create_table(
        "batch_analyses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "status", sa.String(length=20), server_default="pending", nullable=False
        ),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("processed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
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
        sa.CheckConstraint("name <> ''", name=op.f("ck_batch_analyses_name_given")),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'done', 'failed')",
            name=op.f("ck_batch_analyses_status_known"),
        ),
        sa.CheckConstraint(
            "failed >= 0", name=op.f("ck_batch_analyses_failed_not_negative")
        ),
        sa.CheckConstraint(
            "processed <= size - failed", name=op.f("ck_batch_analyses_within_size")
        ),
        sa.CheckConstraint(
            "processed >= 0", name=op.f("ck_batch_analyses_processed_not_negative")
        ),
        sa.CheckConstraint(
            "size >= 0", name=op.f("ck_batch_analyses_size_not_negative")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_analyses")),
    )
    with op.batch_alter_table("batch_analyses", schema=None) as batch_op:
        batch_op.create_index(
            "ix_batch_analyses_status_created_at",
            ["status", "created_at"],
            unique=False,
        )

    touch_updated_at(op, "batch_analyses")
    op.create_table(
        "courses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("enrolled", sa.Integer(), server_default="0", nullable=False),
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
        sa.CheckConstraint("code <> ''", name=op.f("ck_courses_code_given")),
        sa.CheckConstraint("title <> ''", name=op.f("ck_courses_title_given")),
        sa.CheckConstraint(
            "enrolled BETWEEN 0 AND capacity",
            name=op.f("ck_courses_enrolled_within_capacity"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_courses")),
        sa.UniqueConstraint("code", name=op.f("uq_courses_code")),
    )
    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.create_index("ix_courses_title_id", ["title", "id"], unique=False)

    touch_updated_at(op, "courses")
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("full_name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=True),
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
            "email LIKE '%_@_%'", name=op.f("ck_customers_email_has_at")
        ),
        sa.CheckConstraint(
            "full_name <> ''", name=op.f("ck_customers_full_name_given")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    with op.batch_alter_table("customers", schema=None) as batch_op:
        batch_op.create_index(
            "ix_customers_full_name_id", ["full_name", "id"], unique=False
        )
        batch_op.create_index(
            "uq_customers_lower_email", [sa.literal_column("lower(email)")], unique=True
        )

    touch_updated_at(op, "customers")
    op.create_table(
        "products",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("category", sa.String(length=100), nullable=False),
        sa.Column("price", sa.Numeric(precision=10, scale=2), nullable=False),
        sa.Column("stock", sa.Integer(), server_default="0", nullable=False),
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
        sa.CheckConstraint("name <> ''", name=op.f("ck_products_name_given")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_products_price_not_negative")),
        sa.CheckConstraint("stock >= 0", name=op.f("ck_products_stock_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("name", name=op.f("uq_products_name")),
    )
    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.create_index(
            "ix_products_category_name_id", ["category", "name", "id"], unique=False
        )

    touch_updated_at(op, "products")
    op.create_table(
        "schools",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=True),
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
        sa.CheckConstraint("name <> ''", name=op.f("ck_schools_name_given")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schools")),
        sa.UniqueConstraint("name", name=op.f("uq_schools_name")),
    )
    touch_updated_at(op, "schools")
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.Column(
            "status", sa.String(length=20), server_default="placed", nullable=False
        ),
        sa.Column(
            "total",
            sa.Numeric(precision=14, scale=2),
            server_default="0",
            nullable=False,
        ),
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
            "status IN ('placed', 'paid', 'shipped', 'cancelled')",
            name=op.f("ck_orders_status_known"),
        ),
        sa.CheckConstraint("total >= 0", name=op.f("ck_orders_total_not_negative")),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.id"],
            name=op.f("fk_orders_customer_id_customers"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index(
            "ix_orders_customer_id_id", ["customer_id", "id"], unique=False
        )
        batch_op.create_index("ix_orders_status_id", ["status", "id"], unique=False)

    touch_updated_at(op, "orders")
    op.create_table(
        "posts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "status", sa.String(length=20), server_default="draft", nullable=False
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
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
            "status <> 'published' OR published_at IS NOT NULL",
            name=op.f("ck_posts_published_has_time"),
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'published', 'archived')",
            name=op.f("ck_posts_status_known"),
        ),
        sa.CheckConstraint("title <> ''", name=op.f("ck_posts_title_given")),
        sa.ForeignKeyConstraint(
            ["author_id"],
            ["authors.id"],
            name=op.f("fk_posts_author_id_authors"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
    )
    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_posts_author_id_id", ["author_id", "id"], unique=False
        )
        batch_op.create_index(
            "ix_posts_published",
            ["published_at", "id"],
            unique=False,
            postgresql_where=sa.text("status = 'published'"),
            sqlite_where=sa.text("status = 'published'"),
        )
        batch_op.create_index("ix_posts_title_id", ["title", "id"], unique=False)

    touch_updated_at(op, "posts")
    op.create_table(
        "students",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("full_name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("class_name", sa.String(length=20), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column(
            "status", sa.String(length=20), server_default="active", nullable=False
        ),
        sa.Column("guardian", sa.String(length=200), nullable=True),
        sa.Column("school_id", sa.Integer(), nullable=False),
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
            "birth_date >= '1900-01-01'", name=op.f("ck_students_birth_date_believable")
        ),
        sa.CheckConstraint("code <> ''", name=op.f("ck_students_code_given")),
        sa.CheckConstraint("email LIKE '%_@_%'", name=op.f("ck_students_email_has_at")),
        sa.CheckConstraint("full_name <> ''", name=op.f("ck_students_full_name_given")),
        sa.CheckConstraint(
            "status IN ('active', 'on_leave', 'graduated', 'left')",
            name=op.f("ck_students_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["school_id"],
            ["schools.id"],
            name=op.f("fk_students_school_id_schools"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_students")),
        sa.UniqueConstraint("code", name=op.f("uq_students_code")),
    )
    with op.batch_alter_table("students", schema=None) as batch_op:
        batch_op.create_index(
            "ix_students_class_name_id", ["class_name", "id"], unique=False
        )
        batch_op.create_index(
            "ix_students_full_name_id", ["full_name", "id"], unique=False
        )
        batch_op.create_index(
            "ix_students_school_id_id", ["school_id", "id"], unique=False
        )

    execute_on(
        op,
        "postgresql",
        "CREATE INDEX ix_students_search ON students USING gin (to_tsvector('simple'::regconfig, translate(coalesce(full_name, '') || ' ' || coalesce(email, ''), '!\"#$&''()*+,-./;<=>?@[\\]^_`{|}~', '                              ')))",
    )
    touch_updated_at(op, "students")
    op.create_table(
        "text_analyses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column(
            "type", sa.String(length=20), server_default="sentiment", nullable=False
        ),
        sa.Column(
            "tier", sa.String(length=20), server_default="balanced", nullable=False
        ),
        sa.Column(
            "status", sa.String(length=20), server_default="pending", nullable=False
        ),
        sa.Column("sentiment", sa.Numeric(precision=4, scale=3), nullable=True),
        sa.Column("quality", sa.Numeric(precision=4, scale=3), nullable=True),
        sa.Column(
            "emotions",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column("milliseconds", sa.Integer(), nullable=True),
        sa.Column("model", sa.String(length=100), nullable=True),
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
            "status IN ('pending', 'running', 'done', 'failed')",
            name=op.f("ck_text_analyses_status_known"),
        ),
        sa.CheckConstraint(
            "tier IN ('economy', 'balanced', 'precise')",
            name=op.f("ck_text_analyses_tier_known"),
        ),
        sa.CheckConstraint(
            "type IN ('sentiment', 'emotion', 'quality', 'full')",
            name=op.f("ck_text_analyses_type_known"),
        ),
        sa.CheckConstraint(
            "length(text) BETWEEN 1 AND 10000",
            name=op.f("ck_text_analyses_text_length"),
        ),
        sa.CheckConstraint(
            "milliseconds >= 0", name=op.f("ck_text_analyses_milliseconds_not_negative")
        ),
        sa.CheckConstraint(
            "quality BETWEEN 0 AND 1", name=op.f("ck_text_analyses_quality_range")
        ),
        sa.CheckConstraint(
            "sentiment BETWEEN -1 AND 1", name=op.f("ck_text_analyses_sentiment_range")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batch_analyses.id"],
            name=op.f("fk_text_analyses_batch_id_batch_analyses"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_text_analyses")),
        sa.UniqueConstraint("hash", name=op.f("uq_text_analyses_hash")),
    )
    with op.batch_alter_table("text_analyses", schema=None) as batch_op:
        batch_op.create_index(
            "ix_text_analyses_batch_id_id", ["batch_id", "id"], unique=False
        )
        batch_op.create_index(
            "ix_text_analyses_hash_type", ["hash", "type"], unique=False
        )
        batch_op.create_index("ix_text_analyses_sentiment", ["sentiment"], unique=False)
        batch_op.create_index(
            "ix_text_analyses_status_created_at", ["status", "created_at"], unique=False
        )

    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE FUNCTION text_analyses_hash() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
          NEW.hash := encode(sha256(convert_to(NEW.text, 'UTF8')), 'hex');
          RETURN NEW;
        END $$""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER text_analyses_hash BEFORE INSERT OR UPDATE OF text, hash
        ON text_analyses FOR EACH ROW EXECUTE FUNCTION text_analyses_hash()""",
    )
    touch_updated_at(op, "text_analyses")
    op.create_table(
        "comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "is_approved", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
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
        sa.CheckConstraint("body <> ''", name=op.f("ck_comments_body_given")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_comments_name_given")),
        sa.ForeignKeyConstraint(
            ["post_id"],
            ["posts.id"],
            name=op.f("fk_comments_post_id_posts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.create_index("ix_comments_post_id_id", ["post_id", "id"], unique=False)
        batch_op.create_index(
            "ix_comments_waiting",
            ["id"],
            unique=False,
            postgresql_where=sa.text("NOT is_approved"),
            sqlite_where=sa.text("NOT is_approved"),
        )

    touch_updated_at(op, "comments")
    op.create_table(
        "enrollments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("student_id", sa.Integer(), nullable=False),
        sa.Column("course_id", sa.Integer(), nullable=False),
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
        sa.ForeignKeyConstraint(
            ["course_id"],
            ["courses.id"],
            name=op.f("fk_enrollments_course_id_courses"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["student_id"],
            ["students.id"],
            name=op.f("fk_enrollments_student_id_students"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollments")),
        sa.UniqueConstraint(
            "student_id", "course_id", name=op.f("uq_enrollments_student_id_course_id")
        ),
    )
    with op.batch_alter_table("enrollments", schema=None) as batch_op:
        batch_op.create_index(
            "ix_enrollments_course_id_id", ["course_id", "id"], unique=False
        )

    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE FUNCTION enrollments_count() RETURNS trigger
        LANGUAGE plpgsql AS $$
        DECLARE
          ids bigint[];
          numbers bigint[];
          course record;
        BEGIN
          IF TG_OP = 'TRUNCATE' THEN
            UPDATE courses SET enrolled = 0 WHERE enrolled <> 0;
            RETURN NULL;
          ELSIF TG_OP = 'INSERT' THEN
            SELECT array_agg(course_id), array_agg(number) INTO ids, numbers FROM (
              SELECT course_id, count(*) AS number FROM added GROUP BY course_id) AS change;
          ELSIF TG_OP = 'DELETE' THEN
            SELECT array_agg(course_id), array_agg(number) INTO ids, numbers FROM (
              SELECT course_id, -count(*) AS number FROM removed GROUP BY course_id) AS change;
          ELSE
            SELECT array_agg(course_id), array_agg(number) INTO ids, numbers FROM (
              SELECT course_id, sum(number) AS number FROM (
                SELECT course_id, 1 AS number FROM added
                UNION ALL SELECT course_id, -1 FROM removed) AS moved
              GROUP BY course_id HAVING sum(number) <> 0) AS change;
          END IF;
          IF ids IS NULL THEN
            RETURN NULL;
          END IF;

          PERFORM FROM courses WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;

          -- Materialized: with the LIMIT in sight, a plan that hopes for an early find would
          -- read all of the changes for each course.
          WITH over AS MATERIALIZED (
            SELECT id, title, enrolled, capacity, number
            FROM courses JOIN unnest(ids, numbers) AS change (course_id, number)
            ON course_id = id WHERE number > 0 AND enrolled + number > capacity)
          SELECT title, enrolled, capacity, number INTO course FROM over ORDER BY id LIMIT 1;
          IF FOUND THEN
            RAISE EXCEPTION USING
              ERRCODE = 'check_violation',
              CONSTRAINT = 'ck_enrollments_course_not_full',
              TABLE = 'enrollments',
              HINT = 'backoffice:field=course',
              MESSAGE = CASE WHEN course.enrolled >= course.capacity
                THEN format('%s is full (%s of %s)',
                  course.title, course.enrolled, course.capacity)
                ELSE format('%s has no room for %s more (%s of %s)',
                  course.title, course.number, course.enrolled, course.capacity) END;
          END IF;

          UPDATE courses SET enrolled = enrolled + number
          FROM unnest(ids, numbers) AS change (course_id, number) WHERE course_id = id;
          RETURN NULL;
        END $$""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER enrollments_count_insert AFTER INSERT
        ON enrollments REFERENCING NEW TABLE AS added FOR EACH STATEMENT
        EXECUTE FUNCTION enrollments_count()""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER enrollments_count_delete AFTER DELETE
        ON enrollments REFERENCING OLD TABLE AS removed FOR EACH STATEMENT
        EXECUTE FUNCTION enrollments_count()""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER enrollments_count_update AFTER UPDATE
        ON enrollments REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT
        EXECUTE FUNCTION enrollments_count()""",
    )
    execute_on(
        op,
        "postgresql",
        """\
        CREATE OR REPLACE TRIGGER enrollments_count_truncate AFTER TRUNCATE
        ON enrollments  FOR EACH STATEMENT
        EXECUTE FUNCTION enrollments_count()""",
    )
    touch_updated_at(op, "enrollments")
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS enrollments_refuse_insert BEFORE INSERT ON enrollments
        FOR EACH ROW BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=course: The course is full.')
          FROM courses WHERE id = NEW.course_id AND enrolled >= capacity;
        END""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS enrollments_refuse_update BEFORE UPDATE OF course_id ON enrollments
        FOR EACH ROW BEGIN
          SELECT RAISE(ABORT, 'backoffice:field=course: The course is full.')
          FROM courses WHERE id = NEW.course_id AND enrolled >= capacity AND id <> OLD.course_id;
        END""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS enrollments_count_insert AFTER INSERT ON enrollments
        FOR EACH ROW BEGIN
          UPDATE courses SET enrolled = enrolled + 1 WHERE id = NEW.course_id;
        END""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS enrollments_count_delete AFTER DELETE ON enrollments
        FOR EACH ROW BEGIN
          UPDATE courses SET enrolled = enrolled - 1 WHERE id = OLD.course_id;
        END""",
    )
    execute_on(
        op,
        "sqlite",
        """\
        CREATE TRIGGER IF NOT EXISTS enrollments_count_update AFTER UPDATE OF course_id ON enrollments
        FOR EACH ROW BEGIN
          UPDATE courses SET enrolled = enrolled - 1 WHERE id = OLD.course_id;
          UPDATE courses SET enrolled = enrolled + 1 WHERE id = NEW.course_id;
        END""",
    )
    op.create_table(
        "order_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", sa.Numeric(precision=10, scale=2), nullable=False),
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
            "price >= 0", name=op.f("ck_order_items_price_not_negative")
        ),
        sa.CheckConstraint(
            "quantity > 0", name=op.f("ck_order_items_quantity_positive")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["orders.id"],
            name=op.f("fk_order_items_order_id_orders"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["product_id"],
            ["products.id"],
            name=op.f("fk_order_items_product_id_products"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_items")),
    )
    with op.batch_alter_table("order_items", schema=None) as batch_op:
        batch_op.create_index(
            "ix_order_items_order_id_id", ["order_id", "id"], unique=False
        )
        batch_op.create_index(
            "ix_order_items_product_id_id", ["product_id", "id"], unique=False
        )

    touch_updated_at(op, "order_items")
    op.create_table(
        "report_cards",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("student_id", sa.Integer(), nullable=False),
        sa.Column("semester", sa.SmallInteger(), nullable=False),
        sa.Column("academic_year", sa.SmallInteger(), nullable=False),
        sa.Column("mathematics", sa.SmallInteger(), nullable=True),
        sa.Column("indonesian", sa.SmallInteger(), nullable=True),
        sa.Column("english", sa.SmallInteger(), nullable=True),
        sa.Column("science", sa.SmallInteger(), nullable=True),
        sa.Column("javanese", sa.SmallInteger(), nullable=True),
        sa.Column(
            "average",
            sa.Numeric(precision=4, scale=1),
            sa.Computed(
                "(coalesce(mathematics, 0) + coalesce(indonesian, 0) + coalesce(english, 0) + coalesce(science, 0) + coalesce(javanese, 0)) / 5.0",
                persisted=True,
            ),
            nullable=False,
        ),
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
            "academic_year BETWEEN 1990 AND 2100",
            name=op.f("ck_report_cards_academic_year_believable"),
        ),
        sa.CheckConstraint(
            "english BETWEEN 0 AND 100", name=op.f("ck_report_cards_english_range")
        ),
        sa.CheckConstraint(
            "indonesian BETWEEN 0 AND 100",
            name=op.f("ck_report_cards_indonesian_range"),
        ),
        sa.CheckConstraint(
            "javanese BETWEEN 0 AND 100", name=op.f("ck_report_cards_javanese_range")
        ),
        sa.CheckConstraint(
            "mathematics BETWEEN 0 AND 100",
            name=op.f("ck_report_cards_mathematics_range"),
        ),
        sa.CheckConstraint(
            "science BETWEEN 0 AND 100", name=op.f("ck_report_cards_science_range")
        ),
        sa.CheckConstraint(
            "semester BETWEEN 1 AND 3", name=op.f("ck_report_cards_semester_known")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"],
            ["students.id"],
            name=op.f("fk_report_cards_student_id_students"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_cards")),
        sa.UniqueConstraint(
            "student_id",
            "academic_year",
            "semester",
            name=op.f("uq_report_cards_student_id_academic_year_semester"),
        ),
    )
    with op.batch_alter_table("report_cards", schema=None) as batch_op:
        batch_op.create_index(
            "ix_report_cards_semester_academic_year",
            ["semester", "academic_year"],
            unique=False,
        )
        batch_op.create_index(
            "ix_report_cards_student_id_semester_academic_year",
            ["student_id", "semester", "academic_year"],
            unique=False,
        )

    touch_updated_at(op, "report_cards")


def downgrade() -> None:
    leave_updated_at(op, "report_cards")
    with op.batch_alter_table("report_cards", schema=None) as batch_op:
        batch_op.drop_index("ix_report_cards_student_id_semester_academic_year")
        batch_op.drop_index("ix_report_cards_semester_academic_year")

    op.drop_table("report_cards")
    leave_updated_at(op, "order_items")
    with op.batch_alter_table("order_items", schema=None) as batch_op:
        batch_op.drop_index("ix_order_items_product_id_id")
        batch_op.drop_index("ix_order_items_order_id_id")

    op.drop_table("order_items")
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS enrollments_count_update",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS enrollments_count_delete",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS enrollments_count_insert",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS enrollments_refuse_update",
    )
    execute_on(
        op,
        "sqlite",
        "DROP TRIGGER IF EXISTS enrollments_refuse_insert",
    )
    leave_updated_at(op, "enrollments")
    execute_on(
        op,
        "postgresql",
        "DROP FUNCTION IF EXISTS enrollments_count() CASCADE",
    )
    with op.batch_alter_table("enrollments", schema=None) as batch_op:
        batch_op.drop_index("ix_enrollments_course_id_id")

    op.drop_table("enrollments")
    leave_updated_at(op, "comments")
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_comments_waiting",
            postgresql_where=sa.text("NOT is_approved"),
            sqlite_where=sa.text("NOT is_approved"),
        )
        batch_op.drop_index("ix_comments_post_id_id")

    op.drop_table("comments")
    leave_updated_at(op, "text_analyses")
    execute_on(
        op,
        "postgresql",
        "DROP FUNCTION IF EXISTS text_analyses_hash() CASCADE",
    )
    with op.batch_alter_table("text_analyses", schema=None) as batch_op:
        batch_op.drop_index("ix_text_analyses_status_created_at")
        batch_op.drop_index("ix_text_analyses_sentiment")
        batch_op.drop_index("ix_text_analyses_hash_type")
        batch_op.drop_index("ix_text_analyses_batch_id_id")

    op.drop_table("text_analyses")
    leave_updated_at(op, "students")
    execute_on(
        op,
        "postgresql",
        "DROP INDEX ix_students_search",
    )
    with op.batch_alter_table("students", schema=None) as batch_op:
        batch_op.drop_index("ix_students_school_id_id")
        batch_op.drop_index("ix_students_full_name_id")
        batch_op.drop_index("ix_students_class_name_id")

    op.drop_table("students")
    leave_updated_at(op, "posts")
    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.drop_index("ix_posts_title_id")
        batch_op.drop_index(
            "ix_posts_published",
            postgresql_where=sa.text("status = 'published'"),
            sqlite_where=sa.text("status = 'published'"),
        )
        batch_op.drop_index("ix_posts_author_id_id")

    op.drop_table("posts")
    leave_updated_at(op, "orders")
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index("ix_orders_status_id")
        batch_op.drop_index("ix_orders_customer_id_id")

    op.drop_table("orders")
    leave_updated_at(op, "schools")
    op.drop_table("schools")
    leave_updated_at(op, "products")
    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.drop_index("ix_products_category_name_id")

    op.drop_table("products")
    leave_updated_at(op, "customers")
    with op.batch_alter_table("customers", schema=None) as batch_op:
        batch_op.drop_index("uq_customers_lower_email")
        batch_op.drop_index("ix_customers_full_name_id")

    op.drop_table("customers")
    leave_updated_at(op, "courses")
    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.drop_index("ix_courses_title_id")

    op.drop_table("courses")
    leave_updated_at(op, "batch_analyses")
    with op.batch_alter_table("batch_analyses", schema=None) as batch_op:
        batch_op.drop_index("ix_batch_analyses_status_created_at")

    op.drop_table("batch_analyses")
    leave_updated_at(op, "authors")
    with op.batch_alter_table("authors", schema=None) as batch_op:
        batch_op.drop_index("uq_authors_lower_email")
        batch_op.drop_index("ix_authors_is_active_created_at")
        batch_op.drop_index(
            "ix_authors_active",
            postgresql_where=sa.text("is_active"),
            sqlite_where=sa.text("is_active"),
        )

    op.drop_table("authors")
