"""What the history of everything tells: each entry, and each run as one event."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select, text, update
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.audit.recorder import add_entry
from backoffice.bulk.models import Run
from backoffice.bulk.states import RunState
from backoffice.bulk.timeline import (
    DELETING,
    RUNS,
    Actors,
    Event,
    Mark,
    RunEntry,
    TimelineFilter,
    mark_of,
    record_history,
    timeline,
)
from backoffice.database.session import ACTOR, Actor
from backoffice.observability.fingerprints import fingerprint
from tests.bulk.rooms import Kind, all_of, run, session_on, setting

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def named(events: list[Event]) -> list[str]:
    """The label of each event."""
    return [one.label for one in events]


def entry(session: Session, label: str, **given: Any) -> None:
    """One entry that no run has written."""
    at = given.pop("at", None)
    words = {"action": "update", "table_name": "kinds", "key": "1", **given}
    add_entry(session, label=label, **words)
    session.flush()
    if at is not None:
        newest = select(func.max(AuditEntry.id)).scalar_subquery()
        session.execute(update(AuditEntry).where(AuditEntry.id == newest).values(at=at))


def a_run(
    session: Session,
    label: str,
    at: datetime,
    changed: int = 5,
    action: str = "raise",
) -> None:
    """A run that has ended, without its entries."""
    session.add(
        Run(
            token=str(uuid.uuid4()),
            actor_label="Tess Tester",
            view="kind",
            table_name="kinds",
            action=action,
            label=label,
            state=RunState.DONE,
            changed=changed,
            created_at=at,
            finished_at=at,
        )
    )
    session.flush()


def test_a_run_is_one_event_however_many_rows_it_has_changed(kinds: Engine) -> None:
    """Beside what was changed by hand, before it and after it."""
    with session_on(kinds) as session:
        session.add_all(Kind(id=key, number=key) for key in range(1, 8))
        entry(session, "before")
        session.commit()
        made = run(session, all_of(Kind), setting(Kind, number=9), token="t")
        entry(session, "after")
        session.commit()

        events = timeline(session, 10)

        assert sorted(named(events)) == ["Test", "after", "before"]
        (found,) = [one for one in events if isinstance(one, RunEntry)]
        assert (found.id, found.changed, found.is_ended) == (made.id, 7, True)
        assert found.actor_label == "Tess Tester"
        assert found.at.utcoffset() == timedelta(0)


def test_a_run_that_has_changed_nothing_is_no_event(kinds: Engine) -> None:
    """Nor one that still waits."""
    with session_on(kinds) as session:
        a_run(session, "in vain", NOON, changed=0)
        assert timeline(session, 10) == []


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_pages_tell_each_event_once(kinds: Engine, size: int) -> None:
    """Entries and runs of one moment too, and of the same number."""
    with session_on(kinds) as session:
        for number in range(3):
            for at in (NOON, NOON, NOON + timedelta(minutes=number)):
                entry(session, f"entry {number}", at=at)
                a_run(session, f"run {number} {at}", at)
        whole = timeline(session, 100)
        assert len(whole) == 18
        assert [one.at for one in whole] == sorted(
            (one.at for one in whole), reverse=True
        )

        paged: list[Event] = []
        behind = None
        while page := timeline(session, size, behind=behind):
            paged += page
            behind = mark_of(page[-1])

        assert paged == whole


def test_it_is_narrowed_down_by_person_table_kind_and_time(kinds: Engine) -> None:
    """Entries as runs; what ends a span of time is not in it."""
    with session_on(kinds) as session:
        entry(session, "made", action="create", at=NOON)
        entry(session, "pair", table_name="pairs", at=NOON + timedelta(hours=1))
        a_run(session, "raised", NOON + timedelta(hours=2))
        session.info.clear()
        entry(session, "by the system", at=NOON + timedelta(hours=3))

        def found(**asked: Any) -> list[str]:
            return named(timeline(session, 10, TimelineFilter(**asked)))

        tess = Actors(label="Tess Tester")
        assert found(actors=tess) == ["raised", "pair", "made"]
        assert found(table_name="kinds") == ["by the system", "raised", "made"]
        assert found(action="create") == ["made"]
        assert found(action=RUNS) == ["raised"]
        assert found(since=NOON + timedelta(hours=2)) == ["by the system", "raised"]
        assert found(until=NOON + timedelta(hours=2)) == ["pair", "made"]
        assert found(actors=tess, action="create", table_name="pairs") == []


def test_people_are_found_by_their_accounts_and_by_names_of_then(kinds: Engine) -> None:
    """Each event once, newest first, whoever of them did it; on pages too."""
    with session_on(kinds) as session:
        named_then = (("1", "Ann Old"), ("1", "Ann New"), ("2", "Ben"), (None, "Ann"))
        for hour, (key, name) in enumerate((*named_then, ("3", "Cid"), *named_then)):
            session.info[ACTOR] = Actor(key, name)
            entry(session, f"{hour} {name}", at=NOON + timedelta(hours=hour))
        a_run(session, "raised", NOON + timedelta(hours=9))

        def found(ids: tuple[str, ...], label: str, size: int = 20) -> list[str]:
            asked, events = TimelineFilter(actors=Actors(ids, label)), list[Event]()
            behind = None
            while page := timeline(session, size, asked, behind=behind):
                events += page
                behind = mark_of(page[-1])
            return named(events)

        both = ["8 Ann", "6 Ann New", "5 Ann Old", "3 Ann", "1 Ann New", "0 Ann Old"]
        for size in (1, 2, 20):
            assert found(("1",), "Ann", size) == both
        assert found(("1", "2"), "Ben")[:2] == ["7 Ben", "6 Ann New"]
        assert found((), "Ann Old") == ["5 Ann Old", "0 Ann Old"]
        assert found(("9",), "Tess Tester") == ["raised"]
        assert found((), "nobody") == []


def test_runs_are_found_by_what_they_have_done(kinds: Engine) -> None:
    """Who asks what was deleted is told of the runs that have deleted."""
    with session_on(kinds) as session:
        entry(session, "gone", action="delete", at=NOON)
        entry(session, "changed", at=NOON + timedelta(hours=1))
        a_run(session, "raised", NOON + timedelta(hours=2))
        a_run(session, "all gone", NOON + timedelta(hours=3), action=DELETING)

        def found(action: str) -> list[str]:
            return named(timeline(session, 10, TimelineFilter(action=action)))

        assert found("delete") == ["all gone", "gone"]
        assert found("update") == ["raised", "changed"]
        assert found("create") == []
        assert found(RUNS) == ["all gone", "raised"]


def test_midnight_begins_a_day_and_ends_the_one_before(kinds: Engine) -> None:
    """As the database's own clock writes it, too."""
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    with session_on(kinds) as session:
        entry(session, "at midnight")
        session.execute(text("UPDATE backoffice_audit SET at = '2026-03-02 00:00:00'"))
        if session.get_bind().dialect.name == "postgresql":
            session.execute(update(AuditEntry).values(at=midnight))
        day = timedelta(days=1)
        for since, count in ((midnight, 1), (midnight - day, 0)):
            asked = TimelineFilter(since=since, until=since + day)
            assert len(timeline(session, 10, asked)) == count


def test_a_record_says_which_run_has_changed_it(kinds: Engine) -> None:
    """By the run's name; what was changed by hand has none."""
    with session_on(kinds) as session:
        session.add(Kind(id=1, number=1))
        entry(session, "by hand")
        session.commit()
        made = run(session, all_of(Kind), setting(Kind, number=9), token="t")

        newest, oldest = record_history(session, "kinds", "1", 10)

        assert (newest.run_id, newest.run_label) == (made.id, "Test")
        assert (oldest.run_id, oldest.run_label) == (None, "")


ASKED = {
    "ix_backoffice_audit_at_single": TimelineFilter(),
    "ix_backoffice_audit_actor_label_at_single": TimelineFilter(
        actors=Actors(label="Ann")
    ),
    "ix_backoffice_audit_actor_id_at_single": TimelineFilter(
        actors=Actors(ids=("a", "x"))
    ),
    "ix_backoffice_audit_table_name_at_single": TimelineFilter(table_name="pairs"),
    "ix_backoffice_audit_action_at_single": TimelineFilter(action="delete"),
}


@pytest.mark.parametrize("index", ASKED)
def test_each_index_serves_its_history(demo_engine: Engine, index: str) -> None:
    """A run of many rows is passed over; no page reads more than it shows."""
    with session_on(demo_engine) as session:
        a_run(session, "large", NOON)
        number = session.scalar(select(Run.id))
        session.execute(
            insert(AuditEntry).from_select(
                ["at", "actor_id", "actor_label", "action", "table_name", "run_id"],
                select(
                    func.now(),
                    text("CASE n % 50 WHEN 0 THEN 'a' ELSE 'b' END"),
                    text("CASE n % 50 WHEN 0 THEN 'Ann' ELSE 'Ben' END"),
                    text("CASE n % 50 WHEN 1 THEN 'delete' ELSE 'update' END"),
                    text("CASE n % 50 WHEN 2 THEN 'pairs' ELSE 'kinds' END"),
                    text(f"CASE WHEN n > 5000 THEN {number} END"),
                ).select_from(func.generate_series(1, 15_000).alias("n")),
            )
        )
        session.execute(text("ANALYZE backoffice_audit"))
        first = explained(session, ASKED[index], None)
        behind = mark_of(timeline(session, 3, ASKED[index])[-1])
        second = explained(session, ASKED[index], behind)

        for plan in (first, second):
            assert re.search(rf"Index (Only )?Scan Backward using {index} ", plan), plan
        assert "ROW(at, id) < ROW(" in second


def test_no_run_is_read_for_a_name_that_nobody_has(demo_engine: Engine) -> None:
    """Two indexes know that there is none; among ten thousand runs too."""
    with session_on(demo_engine) as session:
        columns = ["token", "actor_id", "actor_label", "view", "table_name", "action"]
        session.execute(
            text(
                f"INSERT INTO backoffice_runs ({', '.join(columns)}, label, state,"
                " changed) SELECT n::text, (n % 9)::text, 'Ann ' || n % 9, '', '', '',"
                " '', 'done', 1 FROM generate_series(1, 10000) AS n"
            )
        )
        session.execute(text("ANALYZE backoffice_runs"))
        asked = TimelineFilter(actors=Actors(("x",), "nobody"))

        plan = explained(session, asked, None)

        assert "ix_backoffice_runs_actor_id_id" in plan, plan
        assert "ix_backoffice_runs_actor_label_id" in plan
        assert "Seq Scan on backoffice_runs" not in plan


def test_the_statement_of_a_page_is_kept_whole(demo_engine: Engine) -> None:
    """Of a longer one only the beginning is, which nobody could explain."""
    asked = TimelineFilter(
        actors=Actors(("a", "b"), "Ann"), table_name="kinds", since=NOON
    )
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    with session_on(demo_engine) as session:
        event.listen(session.get_bind(), "before_cursor_execute", note)
        timeline(session, 50, asked, behind=Mark(1))

    assert " more)" not in fingerprint(sent[-1]).text


def explained(session: Session, asked: TimelineFilter, behind: Any) -> str:
    """How PostgreSQL has read a page of the history."""
    found: list[str] = []

    def explain(_c: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {statement}", parameters)
            found.extend(row[0] for row in cursor.fetchall())

    event.listen(session.get_bind(), "before_cursor_execute", explain)
    try:
        timeline(session, 50, asked, behind=behind)
    finally:
        event.remove(session.get_bind(), "before_cursor_execute", explain)
    return "\n".join(found)
