from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from backoffice.database.session import Place, make_sessions, unit_of_work
from backoffice.observability.findings import FindingKind, findings_of
from backoffice.observability.reads_postgresql import (
    Look,
    Reads,
    TableReads,
    begin_look,
)
from backoffice.observability.recorder import Recorder
from backoffice.observability.request_log import RequestLog, observe_request
from tests.observability.conftest import Kept

LIST = Place("thing", "list")
MISS = text("SELECT id FROM things WHERE note = 'nowhere'")
ONE = text("SELECT note FROM things WHERE id = 7")


@pytest.fixture
def things(observed: Engine) -> Engine:
    """Twelve thousand rows, of which only the key is indexed."""
    with observed.begin() as connection:
        connection.execute(text("CREATE TABLE things (id int PRIMARY KEY, note text)"))
        connection.execute(
            text("INSERT INTO things SELECT n, 'x' FROM generate_series(1, 12000) n")
        )
        connection.execute(text("ANALYZE things"))
    return observed


@pytest.fixture
def page(things: Engine) -> Iterator[tuple[Session, RequestLog]]:
    """A page's transaction in which something was read already."""
    with (
        observe_request(RequestLog()) as log,
        unit_of_work(
            make_sessions(things), actor=None, place=LIST, read_only=True
        ) as session,
    ):
        session.execute(MISS).all()
        yield session, log


def test_a_scan_counts_each_row_once(page: tuple[Session, RequestLog]) -> None:
    """What came before the look is not the page's, nor what other transactions read."""
    session, log = page
    look = Look(session, log)
    session.execute(MISS).all()
    session.execute(ONE).all()
    reads = look.end()
    assert reads == Reads({"things": TableReads(scanned=12_000, found=1)}, given=1)
    assert reads.each == 12_001


def test_an_index_alone_counts_its_entries(page: tuple[Session, RequestLog]) -> None:
    """A count that never looks at the table has read, all the same."""
    session, log = page
    session.execute(text("SET LOCAL enable_seqscan = off"))
    look = Look(session, log)
    session.execute(text("SELECT count(*) FROM things WHERE id <= 5000")).all()
    reads = look.end()
    assert reads is not None
    assert (reads.tables["things"].found, reads.given) == (5_000, 1)


def test_the_look_is_no_statement(
    page: tuple[Session, RequestLog], recorder: Kept
) -> None:
    """Neither of the page, nor of the process; what it took is known."""
    session, log = page
    calls, number = recorder.calls, log.number
    look = Look(session, log)
    look.end()
    assert (recorder.calls, log.number) == (calls, number)
    assert look.nanoseconds > 0


def test_a_look_that_fails_leaves_the_page_alone(
    page: tuple[Session, RequestLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page goes on in its transaction; there is no number then."""
    session, log = page
    name = "backoffice.observability.reads_postgresql.POSTGRESQL_READS"
    monkeypatch.setattr(name, "SELECT 1/0")
    look = Look(session, log)
    assert len(session.execute(ONE).all()) == 1
    assert look.end() is None


def test_sqlite_is_not_asked(observed_sqlite: Engine) -> None:
    """It counts no rows that it reads."""
    with Session(observed_sqlite) as session:
        assert begin_look(session, RequestLog()) is None


@pytest.mark.parametrize(
    ("scanned", "given", "kinds"),
    [
        (12_000, 12, [FindingKind.READS]),
        (12_000, 13, []),
        (9_999, 0, []),
        (10_000, 0, [FindingKind.READS]),
    ],
)
def test_a_thousand_for_one_is_a_finding(
    scanned: int, given: int, kinds: list[FindingKind]
) -> None:
    """From 1,000 rows for each that was given, of tables that are no small ones."""
    log = RequestLog(view="thing", action="list")
    log.reads = Reads({"things": TableReads(scanned, 0)}, given)
    assert [one.kind for one in findings_of(log)] == kinds


def test_the_first_of_a_kind_is_looked_at() -> None:
    """So that each view has a number soon; with 0 nobody looks."""
    recorder = Recorder(sampled_reads=1e-9)
    assert recorder.wants_reads("thing", "list")
    log = RequestLog(view="thing", action="list")
    log.reads = Reads({}, 3)
    recorder.record_request(log)
    assert not recorder.wants_reads("thing", "list")
    assert recorder.wants_reads("thing", "details")
    assert not Recorder(sampled_reads=0).wants_reads("thing", "list")
