"""What is deleted of selections and runs, and what stays as long as it is needed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from backoffice.bulk import clearing
from backoffice.bulk.batches import Step, enqueue, step
from backoffice.bulk.change import Change
from backoffice.bulk.clearing import clear
from backoffice.bulk.models import Run, RunRow, Selection
from backoffice.bulk.run import Order
from backoffice.bulk.selection import keep_selection
from backoffice.bulk.target import Target
from backoffice.bulk.undo import undo_of
from backoffice.database.session import make_sessions
from tests.bulk.rooms import Kind, all_of, run, session_on, setting


def resolve(_session: Session, _run: Run) -> tuple[Target, Change]:
    """One more for every row."""
    return all_of(Kind), setting(Kind, number=Kind.number + 1)


def long_ago(engine: Engine, days: int, *, rows: int = 7) -> int:
    """A run that ended so many days ago, its last row refused; its number."""
    with session_on(engine) as session:
        session.add_all(Kind(id=key, number=key) for key in range(1, rows))
        session.add(Kind(id=rows, number=999))
        session.commit()
        target, change = resolve(session, Run())
        order = Order("token", "kind", "add", "Add one", "all", {})
        number = enqueue(session, target, change, order, expected=None).id
        session.commit()
    sessions = make_sessions(engine)
    while step(sessions, resolve, number) is Step.ON:
        pass
    with sessions() as session:
        made = session.get_one(Run, number)
        assert (made.state, made.changed, made.refused) == ("done", rows - 1, 1)
        made.finished_at = datetime.now(UTC) - timedelta(days=days)
        session.commit()
    return number


def rows_of(engine: Engine) -> list[str]:
    """The states of the rows that are kept of runs."""
    with Session(engine) as session:
        found = select(RunRow.state).order_by(RunRow.run_id, RunRow.position)
        return list(session.scalars(found))


@pytest.mark.parametrize("at_once", [2, 10_000])
def test_rows_that_only_served_walking_go_after_some_days(
    kinds: Engine, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not changed stays, with its reason; the run notes when it was."""
    monkeypatch.setattr(clearing, "AT_ONCE", at_once)
    number = long_ago(kinds, 31)
    sessions = make_sessions(kinds)
    assert clear(sessions, keep_days=30) == 1
    assert rows_of(kinds) == ["refused"]
    with sessions() as session:
        assert session.get_one(Run, number).cleared_at is not None
    assert clear(sessions, keep_days=30) == 0


def test_rows_of_late_runs_stay(kinds: Engine) -> None:
    """Until the days are over, all of them."""
    long_ago(kinds, 29)
    assert clear(make_sessions(kinds), keep_days=30) == 0
    assert len(rows_of(kinds)) == 7


def test_rows_of_a_run_on_its_way_stay(kinds: Engine) -> None:
    """However long ago it was begun: it still has to walk them."""
    number = long_ago(kinds, 31)
    sessions = make_sessions(kinds)
    with sessions() as session:
        made = session.get_one(Run, number)
        made.finished_at, made.state = None, "paused"
        session.commit()
    assert clear(sessions, keep_days=30) == 0
    assert len(rows_of(kinds)) == 7


def test_a_cleared_run_is_taken_back(kinds: Engine) -> None:
    """Old and new of each row stand in the audit, and nothing else is needed."""
    number = long_ago(kinds, 31)
    clear(make_sessions(kinds), keep_days=30)
    with session_on(kinds) as session:
        cleared = session.get_one(Run, number)
        mapper = all_of(Kind).mapper
        target, _, change = undo_of(session, cleared, select(Kind), mapper, "id")
        undone = run(session, target, change, token="back", undone=number)
        assert undone.changed == 6
        numbers = session.scalars(select(Kind.number).order_by(Kind.id)).all()
    assert numbers == [1, 2, 3, 4, 5, 6, 999]


def test_clearing_stops_when_it_is_told_to(kinds: Engine) -> None:
    """What is left is cleared by whoever comes next."""
    long_ago(kinds, 31)
    sessions = make_sessions(kinds)
    assert clear(sessions, keep_days=30, is_stopped=lambda: True) == 0
    assert len(rows_of(kinds)) == 7
    assert clear(sessions, keep_days=30) == 1


def test_selections_go_when_they_have_expired(kinds: Engine) -> None:
    """Whether they were used or not; others stay."""
    sessions = make_sessions(kinds)
    with sessions() as session:
        for words in ("old", "new"):
            keep_selection(
                session, actor_id="7", view="kind", action="add", words=words, keys=[]
            )
        old = session.scalars(select(Selection).where(Selection.words == "old")).one()
        old.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        session.commit()
    clear(sessions, keep_days=30)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Selection)) == 1
        assert session.scalars(select(Selection.words)).one() == "new"
