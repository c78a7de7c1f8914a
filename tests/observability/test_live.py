from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from backoffice.database.base import Base
from backoffice.database.migrations import ProjectMigrations, upgrade
from backoffice.observability.health import migrations_question
from backoffice.observability.keeper import Keeper, make_flush_engine
from backoffice.observability.live import LivePanels, read_live
from backoffice.observability.ops_connection import OpsReader, State, make_ops_engine
from backoffice.settings import DatabaseSettings, ObservabilitySettings

PROJECT = ProjectMigrations(directory=None, metadata=[Base.metadata])
MIGRATIONS = migrations_question(PROJECT)


def seen_live(url: URL, directory: Path) -> LivePanels:
    """What the page has after one statement, all of them slow."""
    engine = create_engine(url)
    upgrade(engine, PROJECT, report=lambda _line: None)
    keeper = Keeper(
        ObservabilitySettings(slow_ms=0),
        directory,
        revision="r1",
        flush_engine=make_flush_engine(url, DatabaseSettings()),
    )
    engine.dispose()
    keeper.observe(engine)
    with engine.connect() as connection:
        connection.execute(text("SELECT 'canary-4711' AS a")).all()
    keeper.flush()
    keeper.stop()
    ops = make_ops_engine(url, DatabaseSettings())
    panels = read_live(OpsReader(ops), MIGRATIONS, revision="r1")
    ops.dispose()
    engine.dispose()
    return panels


def test_all_panels_are_read(empty_database: URL, tmp_path: Path) -> None:
    """On PostgreSQL every panel is measured, and no value is in any of them."""
    panels = seen_live(empty_database, tmp_path)
    states = {name: getattr(panels, name).state for name in panels.__slots__}
    # How many migrations are due gives way to what is new since the last of them.
    assert states.pop("migrations") is State.NO_DATA
    assert states.pop("file") is State.NOT_HERE
    assert set(states.values()) == {State.MEASURED}, states
    assert "SELECT ? AS a" in {entry.text for entry in panels.slow.value or ()}
    assert "SELECT ? AS a" in {one.text for one in panels.new.value or ()}
    assert "canary" not in repr(panels)


def test_sqlite_has_what_we_wrote_ourselves(tmp_path: Path) -> None:
    """On SQLite the slow log is there, and the server's panels say why they are not."""
    panels = seen_live(make_url(f"sqlite:///{tmp_path / 'x.db'}"), tmp_path)
    assert "SELECT ? AS a" in {entry.text for entry in panels.slow.value or ()}
    assert "SELECT ? AS a" in {one.text for one in panels.new.value or ()}
    states = {name: getattr(panels, name).state for name in panels.__slots__}
    assert {name for name, state in states.items() if state is State.NOT_HERE} == {
        *("activity", "server", "tables")
    }
    assert (panels.activity.text, panels.tables.text) == (
        "SQLite has no sessions",
        "SQLite keeps no statistics of its tables",
    )
    assert panels.file.value is not None
    assert panels.file.value.journal_mode == "wal"
    assert panels.file.value.size > 0
    assert panels.migrations.value == 0


def test_before_the_migrations_the_panel_says_so(empty_database: URL) -> None:
    """Without our tables the slow log is not empty but not available."""
    ops = make_ops_engine(empty_database, DatabaseSettings())
    panels = read_live(OpsReader(ops), MIGRATIONS, revision="")
    ops.dispose()
    assert panels.slow.state is State.UNAVAILABLE
    assert panels.activity.state is State.MEASURED


@pytest.mark.parametrize("limit", [0.0])
def test_no_time_is_no_answer(empty_database: URL, limit: float) -> None:
    """With no time left every panel is timed out, none is zero."""
    ops = make_ops_engine(empty_database, DatabaseSettings())
    panels = read_live(OpsReader(ops), MIGRATIONS, revision="", deadline=limit)
    ops.dispose()
    states = {name: getattr(panels, name).state for name in panels.__slots__}
    assert states.pop("migrations") is State.NO_DATA
    assert states.pop("file") is State.NOT_HERE
    assert set(states.values()) == {State.TIMED_OUT}
