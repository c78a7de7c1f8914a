from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, QueuePool, create_engine, make_url, text

from backoffice.database.base import Base
from backoffice.database.migrations import ProjectMigrations, downgrade, upgrade
from backoffice.observability.health import (
    Check,
    Pulse,
    Status,
    healthz,
    livez,
    migrations_question,
    readyz,
)
from backoffice.observability.ops_connection import (
    OpsReader,
    Question,
    make_ops_engine,
)
from backoffice.observability.pool import observed_pool
from backoffice.observability.recorder import Recorder
from backoffice.observability.statements import install
from backoffice.settings import DatabaseSettings
from tests.observability.test_pool_health import CALM

PROJECT = ProjectMigrations(directory=None, metadata=[Base.metadata])


@pytest.fixture
def ops(empty_database: URL) -> Iterator[Engine]:
    """The ops connection of a new database."""
    engine = make_ops_engine(empty_database, DatabaseSettings())
    yield engine
    engine.dispose()


def pulse_without_database() -> Pulse:
    """A pulse where nothing answers."""
    url = make_url("postgresql+psycopg://nobody@127.0.0.1:1/x")
    return Pulse(OpsReader(make_ops_engine(url, DatabaseSettings())))


def test_without_a_database_it_lives_and_is_not_ready() -> None:
    """A database that is down is no reason to restart the process."""
    pulse = pulse_without_database()
    assert livez(heartbeat_age=0.1).code == 200
    report = readyz(pulse)
    assert (report.code, report.word()) == (503, {"status": "fail"})
    assert healthz(pulse, ()).code == 503


@pytest.mark.parametrize(("age", "code"), [(4.9, 200), (5.1, 500)])
def test_a_loop_that_stands_still_is_not_alive(age: float, code: int) -> None:
    """After five seconds without a turn of the loop the process is to be restarted."""
    assert livez(heartbeat_age=age).code == code


def test_it_is_ready_at_the_newest_migration(ops: Engine) -> None:
    """One migration back it is not ready, and says by how many."""
    question = migrations_question(PROJECT)
    upgrade(ops, PROJECT, report=lambda _line: None)
    assert readyz(Pulse(OpsReader(ops), migrations=lambda: question)).code == 200
    downgrade(
        ops,
        PROJECT,
        target="backoffice_0001_accounts",
        report=lambda _line: None,
    )
    report = readyz(Pulse(OpsReader(ops), migrations=lambda: question))
    assert report.code == 503
    assert any(check.text.startswith("behind by ") for check in report.checks)


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_an_empty_database_is_behind_by_all(
    request: pytest.FixtureRequest, tmp_path: Path, dialect: str
) -> None:
    """Where not even the migrations' own table is, every one of them is due."""
    url = make_url(f"sqlite:///{tmp_path / 'x.db'}")
    if dialect == "postgresql":
        url = request.getfixturevalue("empty_database")
    engine = make_ops_engine(url, DatabaseSettings())
    question = migrations_question(PROJECT)
    behind = Pulse(OpsReader(engine), migrations=lambda: question).behind()
    engine.dispose()
    assert behind.is_fresh
    assert behind.value == question.absent
    assert behind.value


def test_a_full_pool_is_ready_and_not_healthy(empty_database: URL, ops: Engine) -> None:
    """At 90 % requests may come, and /healthz says 503; the ops connection is apart."""
    engine = create_engine(
        empty_database,
        poolclass=observed_pool(QueuePool),
        pool_size=10,
        max_overflow=0,
    )
    observation = install(engine, Recorder())
    with ExitStack() as held:
        for _ in range(9):
            held.enter_context(engine.connect())
        pulse, pools = Pulse(OpsReader(ops)), [observation.status()]
        ready, health = readyz(pulse, pools), healthz(pulse, pools)
    engine.dispose()
    assert (ready.code, health.code) == (200, 503)
    (pool,) = health.details(pools)["pools"]
    assert pool["utilization_percent"] == 90.0
    assert pool["overflow"] == 0
    assert pool["healthy"] is False
    assert (pool["pool_size"], pool["checked_in"], pool["checked_out"]) == (10, 0, 9)


def test_exactly_four_fifths_pass(empty_database: URL, ops: Engine) -> None:
    """Eight of ten are healthy."""
    engine = create_engine(
        empty_database,
        poolclass=observed_pool(QueuePool),
        pool_size=10,
        max_overflow=0,
    )
    observation = install(engine, Recorder())
    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(engine.connect())
        report = healthz(Pulse(OpsReader(ops)), [observation.status()])
    engine.dispose()
    assert (report.code, report.status) == (200, Status.PASS)


def test_the_pools_of_all_processes_are_told(ops: Engine) -> None:
    """One of two being full fails the check; none of them hides the other."""
    plain = create_engine("sqlite://", poolclass=observed_pool(QueuePool))
    status = install(plain, Recorder()).status()
    plain.dispose()
    pools = [replace(status, checked_out=15, max=15), replace(status, process=7)]
    report = healthz(Pulse(OpsReader(ops)), pools)
    assert report.code == 503
    found = report.details(pools)["checks"]["pool:default:utilization"]
    assert [one["status"] for one in found] == ["fail", "pass"]
    assert report.passing()["pool:default:utilization"] is False


def test_the_rest_only_warns(ops: Engine) -> None:
    """A failing check besides connection, pool and migrations does not fail it."""
    report = healthz(Pulse(OpsReader(ops)), (), further=[Check("disk", Status.FAIL)])
    assert (report.code, report.status) == (200, Status.WARN)


def test_it_is_not_ready_while_it_shuts_down(ops: Engine) -> None:
    """On its way out a process takes no new requests."""
    assert readyz(Pulse(OpsReader(ops)), is_draining=True).code == 503


def test_the_answer_is_remembered_for_two_seconds(ops: Engine) -> None:
    """Many probes are one statement; after two seconds it is asked again."""
    asked: list[float] = []
    now = [0.0]

    def note(_rows: object) -> int:
        asked.append(now[0])
        return 0

    question = Question("migrations", "SELECT 1", note)
    pulse = Pulse(OpsReader(ops), migrations=lambda: question, clock=lambda: now[0])
    for moment in (0.0, 1.9, 2.1):
        now[0] = moment
        readyz(pulse)
    assert asked == [0.0, 2.1]


def test_sqlite_is_healthy_too(tmp_path: Path) -> None:
    """On SQLite connection and migrations are checked alike."""
    engine = make_ops_engine(
        make_url(f"sqlite:///{tmp_path / 'x.db'}"), DatabaseSettings()
    )
    upgrade(engine, PROJECT, report=lambda _line: None)
    question = migrations_question(PROJECT)
    pulse = Pulse(OpsReader(engine), migrations=lambda: question)
    assert healthz(pulse, ()).code == 200
    engine.dispose()


def test_a_revision_that_nobody_knows_is_not_ready(ops: Engine) -> None:
    """What the tables are like then cannot be said: it is no "at the newest"."""
    upgrade(ops, PROJECT, report=lambda _line: None)
    with ops.connect() as link:
        link.execute(
            text("UPDATE backoffice_alembic_version SET version_num = 'from_elsewhere'")
        )
    question = migrations_question(PROJECT)
    report = readyz(Pulse(OpsReader(ops), migrations=lambda: question))
    assert report.code == 503
    assert any(one.text.startswith("unknown revision") for one in report.checks)


def test_one_name_has_an_entry_for_each_process() -> None:
    """The pools of three processes stand beside each other in one list."""
    full = replace(CALM, checked_out=15, process=3)
    pools = [CALM, replace(CALM, process=2), full]
    report = healthz(pulse_without_database(), pools)
    found = report.details(pools)["checks"]["pool:default:utilization"]
    assert [(one["componentId"], one["status"]) for one in found] == [
        ("pid 1", "pass"),
        ("pid 2", "pass"),
        ("pid 3", "fail"),
    ]
    assert found[2]["output"] == "15 of 15 connections in use"


@pytest.mark.parametrize("is_calm", [True, False])
def test_unknown_is_a_warning_unless_it_need_not_be(
    ops: Engine,
    is_calm: bool,  # noqa: FBT001
) -> None:
    """A check that could not be made warns; one that there is not, does not."""
    check = Check("database:x", Status.UNKNOWN, is_calm=is_calm)
    pulse = Pulse(OpsReader(ops))
    while not pulse.database().is_fresh:
        pass  # a busy machine may take longer for a first connection
    report = healthz(pulse, (), further=[check])
    assert report.status is (Status.PASS if is_calm else Status.WARN)
