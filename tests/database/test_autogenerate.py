"""Whether a new revision holds what changed, and nothing where nothing did."""

from pathlib import Path

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    func,
    inspect,
    make_url,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from backoffice.database.autogenerate import make_revision
from backoffice.database.base import NAMING_CONVENTION
from backoffice.database.catalog import differences, read_catalog
from backoffice.database.engine import make_engine
from backoffice.database.migrations import ProjectMigrations, downgrade, upgrade
from backoffice.database.textsearch import search_vector
from backoffice.database.triggers import Trigger, declare
from backoffice.errors import MigrationProblem
from backoffice.settings import DatabaseSettings
from tests.projects import demo_project, project_of


def _quiet(_line: str) -> None:
    """For tests that do not read what is reported."""


def _things(
    *extra: CheckConstraint | Column[int] | Index, size: str = "size >= 0"
) -> MetaData:
    """A project's one table, with something more in it."""
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    name: Column[str] = Column("name", String(50), nullable=False)
    things = Table(
        "things",
        metadata,
        Column("id", Integer, primary_key=True),
        name,
        Column("size", Integer, server_default="0", nullable=False),
        Column("is_new", Boolean, server_default=true(), nullable=False),
        Column("more", JSON().with_variant(JSONB(), "postgresql")),
        Column("made_at", DateTime, server_default=func.now()),
        CheckConstraint(size, name="size"),
        CheckConstraint("name LIKE '%_%'", name="name"),
        Index("ix_things_lower", func.lower(name)),
        *extra,
    )
    Index("ix_things_search", search_vector(name), postgresql_using="gin").ddl_if(
        dialect="postgresql"
    )
    _count(things, "1")
    return metadata


FUNCTION = """\
CREATE OR REPLACE FUNCTION things_count() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.size := NEW.size + {step};

  RETURN NEW; -- 100%
END $$"""
ON_POSTGRESQL = """\
CREATE OR REPLACE TRIGGER things_count BEFORE INSERT ON things
FOR EACH ROW EXECUTE FUNCTION things_count()"""
ON_SQLITE = """\
CREATE TRIGGER IF NOT EXISTS things_count AFTER INSERT ON things
BEGIN
  UPDATE things SET size = size + {step};
END"""


def _count(table: Table, step: str) -> None:
    """A trigger of each dialect, of several lines and with signs that mean much."""
    table.info.clear()
    declare(
        table,
        Trigger(
            name="things_count",
            dialect="postgresql",
            create=(FUNCTION.format(step=step), ON_POSTGRESQL),
            drop=("DROP FUNCTION IF EXISTS things_count() CASCADE",),
        ),
        Trigger(
            name="things_count",
            dialect="sqlite",
            create=(ON_SQLITE.format(step=step),),
            drop=("DROP TRIGGER IF EXISTS things_count",),
        ),
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A project's directory for revisions, with none in it."""
    path = tmp_path / "migrations"
    path.mkdir()
    return path


def _migrated(engine: Engine, metadata: MetaData, directory: Path) -> ProjectMigrations:
    """The project with its first revision written and applied."""
    project = project_of(metadata, directory)
    upgrade(engine, project, report=_quiet)
    make_revision(engine, project, name="Things")
    upgrade(engine, project, report=_quiet)
    return project


def test_demo_has_no_changes(demo_engine: Engine) -> None:
    """The models of this repository and its revisions say the same."""
    assert make_revision(demo_engine, demo_project(), dry_run=True).changes == ()
    own = make_revision(demo_engine, demo_project(), dry_run=True, is_own=True)
    assert own.changes == ()


def test_first_revision_makes_what_the_metadata_makes(
    engine: Engine, directory: Path
) -> None:
    """The project's tables, indexes, rules and triggers, to the letter."""
    metadata = _things()
    _migrated(engine, metadata, directory)
    with engine.connect() as connection:
        migrated = read_catalog(connection)
    metadata.drop_all(engine)
    metadata.create_all(engine)

    with engine.connect() as connection:
        assert differences(migrated, read_catalog(connection)) == []


def test_revision_of_postgresql_serves_sqlite(
    engine: Engine, directory: Path, tmp_path: Path
) -> None:
    """What was written on one dialect makes the same tables on the other."""
    metadata = _things()
    project = _migrated(engine, metadata, directory)
    url = make_url(f"sqlite:///{tmp_path / 'other.db'}")
    other = make_engine(url, DatabaseSettings(), application_name="test")

    upgrade(other, project, report=_quiet)

    with other.connect() as connection:
        migrated = read_catalog(connection)
    metadata.drop_all(other)
    metadata.create_all(other)
    with other.connect() as connection:
        assert differences(migrated, read_catalog(connection)) == []
    other.dispose()


def test_file_is_numbered_and_named(engine: Engine, directory: Path) -> None:
    """Files are numbered, and named after what they are for."""
    project = _migrated(engine, _things(), directory)
    second = make_revision(engine, project, name="Add phones, at last", is_empty=True)

    names = sorted(path.name for path in (directory / "versions").glob("*.py"))
    assert names == ["0001_things.py", "0002_add_phones_at_last.py"]
    assert second.path == directory / "versions" / "0002_add_phones_at_last.py"
    assert 'down_revision = "0001_things"' in second.path.read_text().replace("'", '"')
    upgrade(engine, project, report=_quiet)


def test_nothing_changed_writes_nothing(engine: Engine, directory: Path) -> None:
    """Where the database is as the models say there is no file."""
    project = _migrated(engine, _things(), directory)

    found = make_revision(engine, project)

    assert (found.changes, found.path) == ((), None)
    assert len(list((directory / "versions").glob("*.py"))) == 1


@pytest.mark.parametrize(
    ("changed", "changes"),
    [
        pytest.param(
            _things(size="size >= 1"),
            ("drop constraint ck_things_size", "add constraint ck_things_size"),
            id="rule that says something else",
        ),
        pytest.param(_things(size="size  >=  0"), (), id="rule in other blanks"),
        pytest.param(
            _things(CheckConstraint("size < 9", name="top")),
            ("add constraint ck_things_top",),
            id="new rule",
        ),
        pytest.param(
            _things(Column("phone", Integer)), ("add column phone",), id="new column"
        ),
        pytest.param(
            _things(Index("ix_things_size", "size")),
            ("create index ix_things_size",),
            id="new index",
        ),
    ],
)
def test_change_is_found_and_undone(
    engine: Engine, directory: Path, changed: MetaData, changes: tuple[str, ...]
) -> None:
    """What changed is named, applied by the new revision, and undone by its reverse."""
    _migrated(engine, _things(), directory)
    with engine.connect() as connection:
        before = read_catalog(connection)
    project = project_of(changed, directory)

    found = make_revision(engine, project)
    assert found.changes == tuple(f"things: {change}" for change in changes)
    upgrade(engine, project, report=_quiet)
    assert make_revision(engine, project, dry_run=True).changes == ()

    downgrade(engine, project, target="0001", report=_quiet)
    with engine.connect() as connection:
        assert differences(before, read_catalog(connection)) == []


def test_index_with_other_words_is_found(engine: Engine, directory: Path) -> None:
    """An expression that changed is found, though only PostgreSQL can tell."""
    _migrated(engine, _things(), directory)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_things_lower"))
        connection.execute(text("CREATE INDEX ix_things_lower ON things (upper(name))"))

    found = make_revision(engine, project_of(_things(), directory), dry_run=True)

    assert found.changes == (
        "things: drop index ix_things_lower",
        "things: create index ix_things_lower",
    )


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_trigger_that_changed_is_found(
    request: pytest.FixtureRequest, directory: Path, tmp_path: Path, kind: str
) -> None:
    """Another text of a trigger is another trigger; the way back is the old one."""
    if kind == "sqlite":
        url = make_url(f"sqlite:///{tmp_path / 'test.db'}")
        engine = make_engine(url, DatabaseSettings(), application_name="test")
    else:
        engine = request.getfixturevalue("engine")
    _migrated(engine, _things(), directory)
    with engine.connect() as connection:
        before = read_catalog(connection)
    changed = _things()
    _count(changed.tables["things"], "2")
    project = project_of(changed, directory)

    found = make_revision(engine, project)
    assert found.changes == (
        f"drop trigger things_count ({kind})",
        f"create trigger things_count ({kind})",
    )

    upgrade(engine, project, report=_quiet)
    assert make_revision(engine, project, dry_run=True).changes == ()
    downgrade(engine, project, target="0001", report=_quiet)
    with engine.connect() as connection:
        assert differences(before, read_catalog(connection)) == []
    engine.dispose()


def test_looking_leaves_the_database_alone(engine: Engine, directory: Path) -> None:
    """To compare changes nothing, not even for a moment that others could see."""
    _migrated(engine, _things(), directory)
    with engine.connect() as connection:
        before = read_catalog(connection)

    make_revision(engine, project_of(_things(size="size > 1"), directory), dry_run=True)

    with engine.connect() as connection:
        assert read_catalog(connection) == before


def test_tables_of_others_are_left_alone(engine: Engine, directory: Path) -> None:
    """A table that no model has is somebody else's."""
    project = _migrated(engine, _things(), directory)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE someone_elses (id int)"))

    assert make_revision(engine, project, dry_run=True).changes == ()
    assert "someone_elses" in inspect(engine).get_table_names()


def test_unmigrated_database_is_said(engine: Engine, directory: Path) -> None:
    """The models are compared with a database that has had every revision."""
    with pytest.raises(
        MigrationProblem, match=r"has not had backoffice_0001_.*migrate"
    ):
        make_revision(engine, project_of(_things(), directory))


def test_project_without_directory_is_said(engine: Engine) -> None:
    """Where a file should go has to be known."""
    project = project_of(_things(), None)
    upgrade(engine, project, report=_quiet)

    with pytest.raises(MigrationProblem, match=r"no directory for revisions"):
        make_revision(engine, project)


def test_two_ends_are_said(engine: Engine, directory: Path) -> None:
    """Two revisions that follow the same one are put in order before a third comes."""
    project = _migrated(engine, _things(), directory)
    first = make_revision(engine, project, name="one", is_empty=True).path
    assert first is not None
    second = first.with_name("0002_other.py")
    second.write_text(first.read_text().replace("0002_one", "0002_other"))
    upgrade(engine, project, report=_quiet)

    with pytest.raises(MigrationProblem, match="0002_one and 0002_other both end"):
        make_revision(engine, project, name="three", is_empty=True)
