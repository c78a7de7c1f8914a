"""That a run and its rows belong together, whoever writes."""

import threading
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backoffice.bulk.models import Run, RunRow
from tests.bulk.rooms import Kind, all_of, run, session_on, setting
from tests.jobs.orders import until

NOBODYS = 4_711
WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def row(run_id: int, position: int = 1) -> dict[str, Any]:
    """A row as it is written down."""
    return {"run_id": run_id, "position": position, "key": "1"}


def made_on(engine: Engine, *, rows: int = 0) -> int:
    """A run that has so many rows; its number."""
    with session_on(engine) as session:
        session.add(Kind(number=1))
        session.commit()
        made = run(session, all_of(Kind), setting(Kind, number=2), token="t")
        if rows:
            own = [row(made.id, position) for position in range(1, rows + 1)]
            session.execute(insert(RunRow), own)
            session.commit()
        return made.id


def test_there_are_no_rows_of_a_run_that_is_not_there(kinds: Engine) -> None:
    """The database refuses them, also among rows of one that is."""
    number = made_on(kinds)
    statement = insert(RunRow).values([row(number), row(NOBODYS)])
    with (
        Session(kinds) as session,
        pytest.raises(DBAPIError, match=r"no run 4711|FOREIGN KEY"),
    ):
        session.execute(statement)


def test_a_run_that_is_deleted_takes_its_rows_along(kinds: Engine) -> None:
    """And no others."""
    gone = made_on(kinds, rows=3)
    with Session(kinds) as session:
        kept = Run(**{**template(session, gone), "token": "other"})
        session.add(kept)
        session.flush()
        session.execute(insert(RunRow).values(row(kept.id)))
        session.commit()
        session.execute(delete(Run).where(Run.id == gone))
        session.commit()
        assert session.scalars(select(RunRow.run_id)).all() == [kept.id]


def is_waited_for(engine: Engine) -> bool:
    """Whether somebody waits for a lock; each look is a transaction of its own."""
    with engine.connect() as connection:
        return bool(connection.execute(WAITING).scalar_one())


def template(session: Session, number: int) -> dict[str, Any]:
    """What a run is made of, but for its number."""
    found = session.get_one(Run, number)
    return {
        column.key: getattr(found, column.key)
        for column in Run.__table__.c
        if column.key != "id"
    }


def test_who_deletes_a_run_waits_for_who_writes_its_rows(either: Engine) -> None:
    """What comes of both is no run without rows, as with a foreign key."""
    number = made_on(either)

    def take_away() -> None:
        with Session(either) as session:
            session.execute(delete(Run).where(Run.id == number))
            session.commit()

    with Session(either) as session:
        session.execute(insert(RunRow), [row(number)])
        other = threading.Thread(target=take_away)
        other.start()
        until(lambda: is_waited_for(either))
        session.commit()
    other.join()
    with Session(either) as session:
        assert session.scalar(select(func.count()).select_from(RunRow)) == 0
