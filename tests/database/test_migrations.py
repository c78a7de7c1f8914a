"""Whether migrations lead up and down, say what they do, and refuse in words."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import (
    URL,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    inspect,
    make_url,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from backoffice.database.base import OWN_PREFIX, Base
from backoffice.database.catalog import differences, read_catalog
from backoffice.database.engine import make_engine
from backoffice.database.migration_lock import LOCK_KEY
from backoffice.database.migrations import (
    OWN_DIRECTORY,
    VERSION_TABLE,
    Direction,
    ProjectMigrations,
    downgrade,
    history,
    is_at_head,
    migrate,
    pending,
    plan,
    sql,
    upgrade,
)
from backoffice.errors import (
    DatabaseUnavailable,
    LockNotAvailable,
    MigrationProblem,
)
from backoffice.settings import DatabaseSettings
from tests.projects import ROOT, demo_project, project_of

OWN = sorted(path.stem for path in (OWN_DIRECTORY / "versions").glob("*.py"))
OURS = OWN[-1]
DEMOS = sorted(path.stem for path in (ROOT / "migrations/versions").glob("*.py"))
DEMO = DEMOS[-1]
QUEUE = "procrastinate_"
# Tables, their row types and sequences, types of their own, and functions.
NAMED = """
SELECT relname FROM pg_class UNION ALL SELECT typname FROM pg_type
UNION ALL SELECT proname FROM pg_proc UNION ALL SELECT tgname FROM pg_trigger
"""


def _quiet(_line: str) -> None:
    """For tests that do not read what is reported."""


@pytest.fixture(params=["postgresql", "postgresql 16", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of each kind, with the limits that pages have."""
    if request.param == "postgresql":
        url = request.getfixturevalue("empty_database")
    elif request.param == "postgresql 16":
        old = request.getfixturevalue("old_server")
        server = create_engine(old, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text("DROP DATABASE IF EXISTS migrated WITH (FORCE)"))
            connection.execute(text("CREATE DATABASE migrated"))
        server.dispose()
        url = old.set(database="migrated")
    else:
        url = make_url(f"sqlite:///{tmp_path / 'test.db'}")
    engine = make_engine(url, DatabaseSettings(), application_name="test migrate")
    yield engine
    engine.dispose()


def _catalog(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        found = read_catalog(connection)
    return {name: what for name, what in found.items() if VERSION_TABLE not in name}


def test_up_down_up_leaves_no_difference(database: Engine) -> None:
    """Up, down to nothing and up again ends where it was; nothing is nothing."""
    nothing = _catalog(database)
    upgrade(database, demo_project(), report=_quiet)
    first = _catalog(database)

    downgrade(database, demo_project(), target="zero", report=_quiet)
    with database.connect() as connection:
        assert differences(nothing, read_catalog(connection)) == []

    upgrade(database, demo_project(), report=_quiet)
    assert differences(first, _catalog(database)) == []
    assert len(first) > 200


def test_migrated_is_as_the_models_say(database: Engine) -> None:
    """Migrations and metadata give the same catalogue, to the letter."""
    Base.metadata.create_all(database)
    declared = _catalog(database)
    Base.metadata.drop_all(database)
    assert _catalog(database) == {}

    upgrade(database, demo_project(), report=_quiet)

    # The job queue's tables are made by its own SQL, and stand in no metadata.
    migrated = {k: v for k, v in _catalog(database).items() if QUEUE not in k}
    assert differences(declared, migrated) == []


def test_rows_in_the_way_of_a_rule_are_told_with_what_to_do(database: Engine) -> None:
    """An empty class stops the revision in words, and is no longer there after them."""
    upgrade(database, demo_project(), target="0004_shop_orders", report=_quiet)
    with database.begin() as connection:
        connection.execute(text("INSERT INTO schools (id, name) VALUES (1, 'North')"))
        connection.execute(
            text(
                "INSERT INTO students (code, full_name, class_name, status, school_id)"
                " VALUES ('A', 'Ann', '', 'active', 1), ('B', 'Ben', '', 'active', 1)"
            )
        )

    with pytest.raises(MigrationProblem) as refused:
        upgrade(database, demo_project(), report=_quiet)

    said = str(refused.value)
    assert "2 rows of students with an empty class_name. " in said
    repair = "UPDATE students SET class_name = 'unknown' WHERE class_name = '';"
    assert repair in said
    assert "products" not in said
    with database.begin() as connection:
        connection.execute(text(repair))
    upgrade(database, demo_project(), report=_quiet)
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(text("UPDATE students SET class_name = ''"))


def _queue_names(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        names = connection.scalars(text(NAMED))
        return {str(name) for name in names if QUEUE in str(name)}


@pytest.mark.parametrize("database", ["postgresql", "postgresql 16"], indirect=True)
def test_the_job_queue_is_made_and_taken_away_whole(database: Engine) -> None:
    """Down to before it, nothing that bears its name is left in the catalogue."""
    upgrade(database, demo_project(), report=_quiet)
    made = _queue_names(database)
    assert {"procrastinate_jobs", "procrastinate_job_to_defer_v1"} <= made

    downgrade(
        database,
        demo_project(),
        target="backoffice_0004_explain_reports",
        report=_quiet,
    )

    assert _queue_names(database) == set()


def test_the_job_queue_needs_no_superuser(server: Engine, empty_database: URL) -> None:
    """Who owns the database makes its tables, and takes them away."""
    name = f"owner_of_{empty_database.database}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'own'"))
        connection.execute(
            text(f"ALTER DATABASE {empty_database.database} OWNER TO {name}")
        )
    engine = create_engine(empty_database.set(username=name, password="own"))
    upgrade(engine, demo_project(), report=_quiet)
    made = _queue_names(engine)
    downgrade(engine, demo_project(), target="zero", report=_quiet)
    left = _queue_names(engine)
    engine.dispose()
    with server.connect() as connection:
        connection.execute(
            text(f"ALTER DATABASE {empty_database.database} OWNER TO CURRENT_USER")
        )
        connection.execute(text(f"DROP ROLE {name}"))

    assert made
    assert left == set()


def test_a_job_queue_of_somebody_else_is_left_alone(engine: Engine) -> None:
    """It is not taken for ours: the revision refuses, and nothing of theirs goes."""
    upgrade(engine, demo_project(), target=OWN[3], report=_quiet)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE procrastinate_jobs (id int)"))

    with pytest.raises(MigrationProblem, match="belong to another program"):
        upgrade(engine, demo_project(), report=_quiet)

    assert inspect(engine).has_table("procrastinate_jobs")


def test_each_revision_is_reported(engine: Engine) -> None:
    """What was applied is said as it ends, and given back."""
    said: list[str] = []

    done = upgrade(engine, demo_project(), report=said.append)

    assert said == [f"Applied {revision.id}" for revision in done]
    assert [revision.id for revision in done] == [*OWN, *DEMOS]


def test_second_upgrade_does_nothing(demo_engine: Engine) -> None:
    """A database that is there stays there."""
    assert upgrade(demo_engine, demo_project(), report=_quiet) == []
    assert is_at_head(demo_engine, demo_project())


def test_pending_names_what_is_missing(engine: Engine) -> None:
    """What a database has not had, in the order it would get it."""
    upgrade(engine, demo_project(), target=OURS, report=_quiet)

    assert [revision.id for revision in pending(engine, demo_project())] == DEMOS
    assert not is_at_head(engine, demo_project())


def test_looking_changes_nothing(engine: Engine) -> None:
    """To ask what is pending makes no table."""
    pending(engine, demo_project())
    plan(engine, demo_project())

    assert inspect(engine).get_table_names() == []


def test_history_knows_both_branches(engine: Engine) -> None:
    """Ours come first, then the project's, each with its title."""
    upgrade(engine, demo_project(), target=OURS, report=_quiet)

    found = history(engine, demo_project())

    assert [(one.id, one.branch, one.is_applied) for one in found] == [
        *((id_, "backoffice", True) for id_ in OWN),
        *((one, "project", False) for one in DEMOS),
    ]
    titles = {one.id: one.title for one in found}
    assert titles[DEMOS[0]].startswith("The demo's tables")


def test_plan_says_both_ways(demo_engine: Engine) -> None:
    """What would be run, and in which direction; nothing is."""
    steps = plan(demo_engine, demo_project(), target="project@zero")

    assert [str(step) for step in steps] == [
        f"- {step.revision.id}: {step.revision.title}" for step in steps
    ]
    assert [step.revision.id for step in steps] == DEMOS[::-1]
    assert steps[0].direction is Direction.DOWN
    assert is_at_head(demo_engine, demo_project())


def test_target_by_its_beginning(engine: Engine) -> None:
    """A beginning that fits one revision names it, up and down."""
    migrate(engine, demo_project(), target=OURS[:-1], report=_quiet)
    assert [one.id for one in pending(engine, demo_project())] == DEMOS

    migrate(engine, demo_project(), target=DEMO[:4], report=_quiet)
    assert is_at_head(engine, demo_project())


def test_project_alone_is_undone(demo_engine: Engine) -> None:
    """`project@zero` takes the project's tables and leaves ours."""
    migrate(demo_engine, demo_project(), target="project@zero", report=_quiet)

    left = set(inspect(demo_engine).get_table_names())
    assert left
    assert {name.startswith((OWN_PREFIX, QUEUE)) for name in left} == {True}


def test_upgrade_never_goes_down(demo_engine: Engine) -> None:
    """A target that the database is past is no reason to undo."""
    assert upgrade(demo_engine, demo_project(), target=OWN[0], report=_quiet) == []
    assert is_at_head(demo_engine, demo_project())


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        pytest.param("0009", "There is no revision '0009'; there are", id="unknown"),
        pytest.param("", "'' begins several revisions", id="ambiguous"),
    ],
)
def test_wrong_target_is_said(engine: Engine, target: str, sentence: str) -> None:
    """A name that fits none or several says which there are."""
    with pytest.raises(MigrationProblem, match=sentence):
        migrate(engine, demo_project(), target=target, report=_quiet)


def test_database_from_the_future_is_said(demo_engine: Engine) -> None:
    """A revision that no file here knows is named."""
    with demo_engine.begin() as connection:
        connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))
        connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('0077_new')"))

    with pytest.raises(MigrationProblem, match="0077_new, and there is no file of it"):
        upgrade(demo_engine, demo_project(), report=_quiet)


def test_sql_needs_no_database() -> None:
    """The statements of a revision are told for each dialect, and run nothing."""
    script = sql(postgresql.dialect(), demo_project(), target=DEMOS[0])  # type: ignore[no-untyped-call]
    assert "CREATE TABLE students" in script
    assert "email LIKE '%_@_%'" in script
    assert "FUNCTION enrollments_count()" in script
    assert "CREATE TABLE backoffice_users" not in script
    assert (
        f"INSERT INTO {VERSION_TABLE}" in script or f"UPDATE {VERSION_TABLE}" in script
    )

    script = sql(sqlite.dialect(), demo_project(), target=DEMOS[0])
    assert "RAISE(ABORT" in script
    assert "plpgsql" not in script


def test_sql_runs_as_a_script(engine: Engine) -> None:
    """The whole script makes the database that migrating makes."""
    script = sql(engine.dialect, demo_project())
    driver = engine.raw_connection()
    driver.cursor().execute(script)
    driver.commit()
    driver.close()

    assert is_at_head(engine, demo_project())
    written = _catalog(engine)
    downgrade(engine, demo_project(), target="zero", report=_quiet)
    upgrade(engine, demo_project(), report=_quiet)
    assert differences(written, _catalog(engine)) == []


def test_sql_backwards(engine: Engine) -> None:
    """The way back of one revision is told as well."""
    assert "DROP TABLE students" in sql(
        engine.dialect, demo_project(), target=DEMOS[0], backwards=True
    )


def _project(
    tmp_path: Path, upgrade_body: str, downgrade_body: str = "pass"
) -> ProjectMigrations:
    """A project with one revision on top of ours."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_things.py").write_text(
        '"""Things."""\n'
        "from alembic import op\n"
        "revision = '0001_things'\n"
        "down_revision = None\n"
        "branch_labels = None\n"
        f"depends_on = '{OURS}'\n"
        f"def upgrade():\n    {upgrade_body}\n"
        f"def downgrade():\n    {downgrade_body}\n"
    )
    return project_of(MetaData(), tmp_path / "migrations")


def test_failed_revision_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    """What fails is rolled back and named; what came before it stands."""
    project = _project(
        tmp_path,
        "op.execute('CREATE TABLE half (id int)'); op.execute('SELECT no_such_column')",
    )

    with pytest.raises(MigrationProblem) as failed:
        upgrade(engine, project, report=_quiet)

    assert str(failed.value) == (
        "0001_things failed, and nothing of it was applied: "
        'column "no_such_column" does not exist'
    )
    assert [one.id for one in pending(engine, project)] == ["0001_things"]
    assert "half" not in inspect(engine).get_table_names()


def test_busy_table_is_said(engine: Engine, tmp_path: Path) -> None:
    """A table that others use is waited for briefly, and then given up in words."""
    project = _project(tmp_path, "op.execute('ALTER TABLE busy ADD COLUMN x int')")
    upgrade(engine, project, target=OURS, report=_quiet)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE busy (id int)"))

    with engine.begin() as reader:
        reader.execute(text("SELECT * FROM busy"))
        with pytest.raises(LockNotAvailable, match="0001_things needs a table"):
            upgrade(engine, project, report=_quiet, lock_timeout=0.01)

    assert [one.id for one in upgrade(engine, project, report=_quiet)] == [
        "0001_things"
    ]


def test_broken_file_is_said(engine: Engine, tmp_path: Path) -> None:
    """A revision that cannot be imported is a sentence, with the reason in it."""
    project = _project(tmp_path, "pass")
    (tmp_path / "migrations" / "versions" / "0002_bad.py").write_text("revision = (")

    with pytest.raises(MigrationProblem, match=r"cannot be read as a revision: Synt"):
        upgrade(engine, project, report=_quiet)


def test_migration_has_no_time_limit_of_pages(
    empty_database: URL, tmp_path: Path
) -> None:
    """Statements run as long as they need, and the pool's next user has its limits."""
    settings = DatabaseSettings(pool_size=1, max_overflow=0)
    engine = make_engine(empty_database, settings, application_name="test")
    project = _project(
        tmp_path,
        "op.execute(\"CREATE TABLE told AS SELECT current_setting('statement_timeout'),"
        " current_setting('lock_timeout') AS lock\")",
    )

    upgrade(engine, project, report=_quiet, lock_timeout=2)

    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM told")).one() == ("0", "2s")
        assert connection.scalar(text("SHOW statement_timeout")) == "5s"
    engine.dispose()


def test_two_at_once_take_turns(engine: Engine) -> None:
    """Of two migrations one does the work; the other waits and finds it done."""
    done: list[int] = []

    def run() -> None:
        done.append(len(upgrade(engine, demo_project(), report=_quiet)))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [0, 0, len(OWN) + len(DEMOS)]


def test_waiter_says_for_whom(empty_database: URL) -> None:
    """Who waits is told the other's process, name and since when, and then goes on."""
    settings = DatabaseSettings()
    holder = make_engine(empty_database, settings, application_name="deploy 41")
    waiter = make_engine(empty_database, settings, application_name="deploy 42")
    said: list[str] = []
    with holder.connect() as connection:
        pid = _take(connection.scalar)

        def report(line: str) -> None:
            said.append(line)
            # The other migration ends as soon as it is known that somebody waits.
            if line.startswith("Waiting"):
                connection.scalar(
                    text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY}
                )

        upgrade(waiter, demo_project(), report=report)

    assert said[0].startswith(
        f"Waiting for another migration to end (process {pid}, deploy 41, as postgres, "
        "since 20"
    )
    assert said[-1] == f"Applied {DEMO}"
    holder.dispose()
    waiter.dispose()


def test_waiting_ends(empty_database: URL) -> None:
    """Who has waited long enough is told so, and nothing was migrated."""
    holder = create_engine(empty_database)
    waiter = create_engine(empty_database)
    with holder.connect() as connection:
        pid = _take(connection.scalar)
        with pytest.raises(LockNotAvailable, match=rf"running \(process {pid}, .*noth"):
            upgrade(waiter, demo_project(), report=_quiet, wait=0)
        assert inspect(waiter).get_table_names() == []
    holder.dispose()
    waiter.dispose()


def test_waiter_is_in_no_transaction(empty_database: URL) -> None:
    """Who waits holds no snapshot: the other may build an index concurrently."""
    holder = create_engine(empty_database, isolation_level="AUTOCOMMIT")
    waiter = make_engine(empty_database, DatabaseSettings(), application_name="waiter")
    states: list[str] = []
    with holder.connect() as connection:
        _take(connection.scalar)

        def report(line: str) -> None:
            if not states:
                found = text(
                    "SELECT state FROM pg_stat_activity"
                    " WHERE application_name = 'waiter'"
                )
                states.append(str(connection.scalar(found)))
                connection.scalar(
                    text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY}
                )

        upgrade(waiter, demo_project(), report=report)

    assert states == ["idle"]
    holder.dispose()
    waiter.dispose()


def _take(scalar: Callable[..., object]) -> object:
    scalar(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
    return scalar(text("SELECT pg_backend_pid()"))


def test_lock_is_given_back_after_a_failure(engine: Engine, tmp_path: Path) -> None:
    """A migration that fails keeps nobody waiting."""
    project = _project(tmp_path, "op.execute('SELECT 1 / 0')")
    with pytest.raises(MigrationProblem, match="division by zero"):
        upgrade(engine, project, report=_quiet)

    with engine.connect() as connection:
        assert connection.scalar(
            text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}
        )


def test_no_database_is_said() -> None:
    """A server that is not there is a sentence."""
    engine = create_engine("postgresql+psycopg://localhost:1/none")

    with pytest.raises(DatabaseUnavailable, match="No connection to the database: "):
        pending(engine, demo_project())


def _foreign() -> MetaData:
    """The tables of a project that knows nothing of us."""
    metadata = MetaData()
    Table("Artist", metadata, Column("ArtistId", Integer, primary_key=True))
    Table("alembic_version", metadata, Column("version_num", String(32)))
    return metadata


@pytest.mark.parametrize("has_own_alembic", [False, True])
def test_other_project_gets_our_tables_only(
    database: Engine, tmp_path: Path, *, has_own_alembic: bool
) -> None:
    """A project with tables of its own keeps them, whether it runs Alembic or not."""
    metadata = _foreign()
    metadata.create_all(database)
    before = _catalog(database)
    directory = None
    if has_own_alembic:
        directory = tmp_path / "migrations"
        (directory / "versions").mkdir(parents=True)
        (directory / "env.py").write_text("raise SystemExit")
        (directory / "versions" / "1a2b.py").write_text("raise SystemExit")

    upgrade(database, project_of(metadata, directory), report=_quiet)

    after = _catalog(database)
    assert before.items() <= after.items()
    new = {
        name.removeprefix("table ")
        for name in after.keys() - before.keys()
        if name.startswith("table ")
    }
    assert new
    assert {name.startswith((OWN_PREFIX, QUEUE)) for name in new} == {True}

    downgrade(database, project_of(metadata, directory), target="zero", report=_quiet)
    assert _catalog(database) == before


def test_sqlite_keeps_rows_when_a_table_is_made_anew(tmp_path: Path) -> None:
    """Rows that point at a table stay when it is changed by making it anew."""
    url = make_url(f"sqlite:///{tmp_path / 'test.db'}")
    engine = make_engine(url, DatabaseSettings(), application_name="test")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY, x TEXT)"))
        connection.execute(
            text(
                "CREATE TABLE child (id INTEGER PRIMARY KEY,"
                " parent_id INTEGER REFERENCES parent (id) ON DELETE CASCADE)"
            )
        )
        connection.execute(text("INSERT INTO parent VALUES (1, 'a')"))
        connection.execute(text("INSERT INTO child VALUES (1, 1)"))
    project = _project(
        tmp_path,
        "with op.batch_alter_table('parent', recreate='always') as b:"
        " b.drop_column('x')",
    )

    upgrade(engine, project, report=_quiet)

    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM child")).all() == [(1, 1)]
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()
