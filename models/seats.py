"""How many seats of a course are taken: counted by the database, whoever writes.

The triggers on `enrollments` keep `courses.enrolled` and refuse who finds no seat;
those on `courses` refuse every other hand that writes it.
"""

from backoffice.database.triggers import Trigger


def count_on_postgresql() -> Trigger:
    """The count by statement, so that a COPY of a million costs one update a course.

    Courses are locked in key order: two such statements wait for one another and
    never block each other; the same lock makes the last seat one person's.
    """
    events = {
        "insert": "REFERENCING NEW TABLE AS added",
        "delete": "REFERENCING OLD TABLE AS removed",
        "update": "REFERENCING OLD TABLE AS removed NEW TABLE AS added",
        "truncate": "",
    }
    triggers = (
        f"CREATE OR REPLACE TRIGGER enrollments_count_{event} AFTER {event.upper()}\n"
        f"ON enrollments {rows} FOR EACH STATEMENT\n"
        "EXECUTE FUNCTION enrollments_count()"
        for event, rows in events.items()
    )
    return Trigger(
        name="enrollments_count",
        dialect="postgresql",
        create=(_POSTGRESQL_COUNT, *triggers),
        # The triggers hang on the function, and on nothing else.
        drop=("DROP FUNCTION IF EXISTS enrollments_count() CASCADE",),
    )


def count_on_sqlite() -> list[Trigger]:
    """The count row by row, and a refusal that names the course by its columns."""
    refuse = """\
  SELECT RAISE(ABORT,
    'backoffice:field=course: {title} is full ({enrolled} of {capacity})')
  FROM courses WHERE id = NEW.course_id AND enrolled >= capacity"""
    less = "  UPDATE courses SET enrolled = enrolled - 1 WHERE id = OLD.course_id;"
    more = "  UPDATE courses SET enrolled = enrolled + 1 WHERE id = NEW.course_id;"
    bodies = {
        ("refuse_insert", "BEFORE INSERT"): f"{refuse};",
        ("refuse_update", "BEFORE UPDATE OF course_id"): (
            f"{refuse} AND id <> OLD.course_id;"
        ),
        ("count_insert", "AFTER INSERT"): more,
        ("count_delete", "AFTER DELETE"): less,
        ("count_update", "AFTER UPDATE OF course_id"): f"{less}\n{more}",
    }
    return [
        Trigger(
            name=f"enrollments_{name}",
            dialect="sqlite",
            create=(_sqlite_trigger(f"enrollments_{name}", when, body),),
            drop=(f"DROP TRIGGER IF EXISTS enrollments_{name}",),
        )
        for (name, when), body in bodies.items()
    ]


BY_HAND = "Enrolled is counted from the enrollments; nobody writes it."


def only_counted_on_postgresql() -> Trigger:
    """Nobody writes the count but what runs inside of another trigger."""
    when = {
        "insert": ("INSERT", "NEW.enrolled <> 0"),
        "update": ("UPDATE OF enrolled", "NEW.enrolled IS DISTINCT FROM OLD.enrolled"),
    }
    triggers = (
        f"CREATE OR REPLACE TRIGGER courses_only_counted_{name} BEFORE {event}\n"
        f"ON courses FOR EACH ROW WHEN ({condition} AND pg_trigger_depth() = 0)\n"
        "EXECUTE FUNCTION courses_only_counted()"
        for name, (event, condition) in when.items()
    )
    return Trigger(
        name="courses_only_counted",
        dialect="postgresql",
        create=(_POSTGRESQL_ONLY_COUNTED, *triggers),
        drop=("DROP FUNCTION IF EXISTS courses_only_counted() CASCADE",),
    )


def only_counted_on_sqlite() -> list[Trigger]:
    """What is written is what is counted: SQLite does not say who writes."""
    conditions = {
        ("insert", "BEFORE INSERT"): "NEW.enrolled <> 0",
        ("update", "BEFORE UPDATE OF enrolled"): (
            "NEW.enrolled <> OLD.enrolled AND NEW.enrolled <>\n"
            "  (SELECT count(*) FROM enrollments WHERE course_id = NEW.id)"
        ),
    }
    return [
        Trigger(
            name=f"courses_only_counted_{name}",
            dialect="sqlite",
            create=(
                (
                    f"CREATE TRIGGER IF NOT EXISTS courses_only_counted_{name} {when} "
                    f"ON courses\nFOR EACH ROW WHEN {condition}\nBEGIN\n"
                    "  SELECT RAISE(ABORT, "
                    f"'backoffice:field=enrolled: {BY_HAND}');\nEND"
                ),
            ),
            drop=(f"DROP TRIGGER IF EXISTS courses_only_counted_{name}",),
        )
        for (name, when), condition in conditions.items()
    ]


def _sqlite_trigger(name: str, when: str, body: str) -> str:
    """One row trigger of `enrollments`."""
    head = f"CREATE TRIGGER IF NOT EXISTS {name} {when} ON enrollments"
    return f"{head}\nFOR EACH ROW BEGIN\n{body}\nEND"


_POSTGRESQL_ONLY_COUNTED = f"""\
CREATE OR REPLACE FUNCTION courses_only_counted() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING
    ERRCODE = 'check_violation',
    CONSTRAINT = 'ck_courses_only_counted',
    TABLE = 'courses',
    HINT = 'backoffice:field=enrolled',
    MESSAGE = '{BY_HAND}';
END $$"""

_POSTGRESQL_COUNT = """\
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
END $$"""
