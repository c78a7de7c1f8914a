"""What would happen, found out without a trace."""

from typing import Any

import pytest
from sqlalchemy import Engine, Select, func, not_, select, text
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.bulk import preflight
from backoffice.bulk.change import EachRecord
from backoffice.bulk.plan_postgresql import extrapolated
from backoffice.bulk.preflight import look
from backoffice.bulk.states import RowState
from backoffice.bulk.target import Chosen, Target, among, read_chosen, take_digest
from backoffice.bulk.trial import Limits
from tests.bulk.rooms import (
    Kind,
    Pair,
    all_of,
    prepare,
    run,
    session_on,
    setting,
    whole,
)


def test_what_was_tried_leaves_no_trace(kinds: Engine) -> None:
    """Every row keeps its values and its version, and the audit stays empty."""
    with session_on(kinds) as session:
        session.add_all(Kind(number=number) for number in range(20))
        session.commit()
        before = whole(session, Kind)
        is_pg = kinds.dialect.name == "postgresql"
        versions = text("SELECT id, xmin FROM kinds ORDER BY id")
        xmin = session.execute(versions).all() if is_pg else []
        found = look(session, all_of(Kind), setting(Kind, number=7))
        session.commit()
        assert (found.changed, found.same) == (19, 1)
        assert whole(session, Kind) == before
        assert not is_pg or session.execute(versions).all() == xmin
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == 0


def test_the_one_row_among_many_that_is_refused_is_named(kinds: Engine) -> None:
    """Row 712 of 1,000 breaks a rule; it is found, and all others would change."""
    with session_on(kinds) as session:
        session.add_all(
            Kind(id=key, number=995 if key == 712 else 1) for key in range(1, 1001)
        )
        session.commit()
        change = setting(Kind, number=Kind.number + 5)
        found = look(session, all_of(Kind), change, Limits(seconds=30))
        assert [left.row.key for left in found.refused] == ["712"]
        assert found.changed == 999
        assert found.samples[0].state is RowState.REFUSED


def test_rows_that_exclude_each_other_are_told_apart(kinds: Engine) -> None:
    """Of two rows that cannot both have a unique value the first may have it."""
    with session_on(kinds) as session:
        session.add_all(Kind(code=code) for code in ("a", "b"))
        session.commit()
        found = look(session, all_of(Kind), setting(Kind, code="c"), Limits(seconds=30))
        assert found.changed == 1
        assert len(found.refused) == 1


def test_above_the_limit_only_some_rows_are_tried(kinds: Engine) -> None:
    """The count is of all rows, and the answer says how many were tried."""
    with session_on(kinds) as session:
        session.add_all(Kind(number=1) for _ in range(30))
        session.commit()
        found = look(session, all_of(Kind), setting(Kind, number=2), Limits(rows=10))
        assert (found.count, found.tried, found.changed) == (30, 10, 10)
        assert not found.is_whole


def test_the_same_rows_have_the_same_digest_and_changed_ones_do_not(
    kinds: Engine,
) -> None:
    """A row that is written, added or deleted changes the digest."""
    with session_on(kinds) as session:
        session.add_all(Kind(number=number) for number in range(3))
        session.commit()
        change = setting(Kind, name="x")
        first = look(session, all_of(Kind), change).digest
        assert look(session, all_of(Kind), change).digest == first
        session.execute(text("UPDATE kinds SET number = 8 WHERE id = 2"))
        session.commit()
        second = look(session, all_of(Kind), change).digest
        assert second != first
        session.add(Kind(number=1))
        session.commit()
        assert look(session, all_of(Kind), change).digest not in (first, second)


def test_a_row_that_somebody_holds_is_told_with_its_holder(demo_engine: Engine) -> None:
    """It is not waited for; the others are tried."""
    Kind.metadata.create_all(demo_engine)
    with session_on(demo_engine) as session, demo_engine.connect() as other:
        session.add_all(Kind(number=number) for number in range(3))
        session.commit()
        other.execute(text("SELECT 1 FROM kinds WHERE id = 2 FOR UPDATE"))
        found = look(session, all_of(Kind), setting(Kind, name="x"))
        assert [left.row.key for left in found.locked] == ["2"]
        assert "process" in found.locked[0].words
        assert found.changed == 2


@pytest.mark.parametrize(("share", "tried"), [(0.7, 20), (0, 5)])
def test_of_many_rows_as_many_are_tried_as_there_is_time_for(
    kinds: Engine, monkeypatch: pytest.MonkeyPatch, share: float, tried: int
) -> None:
    """A few in any case; and up to the limit, if these were quick."""
    monkeypatch.setattr(preflight, "FIRST", 5)
    monkeypatch.setattr(preflight, "TRYING", share)
    with session_on(kinds) as session:
        session.add_all(Kind(number=1) for _ in range(30))
        session.commit()
        limits = Limits(rows=20, seconds=60)
        found = look(session, all_of(Kind), setting(Kind, number=2), limits)
        assert (found.count, found.tried, found.changed) == (30, tried, tried)


# Functions


def each(work: Any, **options: Any) -> EachRecord:
    """A function that is called with each record."""
    return EachRecord(Kind.__mapper__, work, **options)


def kinds_with(session: Session, *numbers: int) -> None:
    """Rows with these numbers, their keys from 1 on."""
    session.add_all(Kind(id=key, number=n) for key, n in enumerate(numbers, 1))
    session.commit()


def raise_number(_session: Session, record: Any) -> None:
    """One more."""
    record.number += 1


def test_a_function_is_tried_without_a_trace(kinds: Engine) -> None:
    """It is really called, its refusals are named, and every row keeps its version."""
    with session_on(kinds) as session:
        kinds_with(session, 1, 999, 3)
        before = whole(session, Kind)
        is_pg = kinds.dialect.name == "postgresql"
        versions = text("SELECT id, xmin FROM kinds ORDER BY id")
        xmin = session.execute(versions).all() if is_pg else []
        found = look(session, all_of(Kind), each(raise_number))
        session.commit()
        assert (found.tried, found.changed) == (3, 2)
        assert [left.row.key for left in found.refused] == ["2"]
        assert whole(session, Kind) == before
        assert not is_pg or session.execute(versions).all() == xmin
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == 0


def test_sequences_that_a_trial_draws_from_are_named(demo_engine: Engine) -> None:
    """What is drawn stays drawn; of what draws from none nothing is said."""
    prepare(demo_engine)
    with session_on(demo_engine) as session:
        kinds_with(session, 1, 2)

        def add_another(own: Session, record: Any) -> None:
            own.add(Kind(number=record.number))
            record.number += 1

        session.execute(text("ALTER SEQUENCE kinds_id_seq RESTART WITH 100"))
        session.commit()
        plain = look(session, all_of(Kind), setting(Kind, number=5))
        session.commit()
        drawn = look(session, all_of(Kind), each(add_another))
        session.commit()
        assert plain.sequences == ()
        assert set(drawn.sequences) >= {"kinds_id_seq", "backoffice_audit_id_seq"}


def test_of_a_function_as_much_is_tried_as_there_is_time_for(
    demo_engine: Engine,
) -> None:
    """A record that takes too long ends the trial, and what was found out is told."""
    prepare(demo_engine)
    with session_on(demo_engine) as session:
        kinds_with(session, 1, 2, 3, 4)

        def slow_at_last(own: Session, record: Any) -> None:
            if record.id == 3:
                own.execute(text("SELECT pg_sleep(60)"))
            record.number += 1

        found = look(session, all_of(Kind), each(slow_at_last), Limits(seconds=0.5))
        assert (found.tried, found.changed, found.problem) == (2, 2, "")
        assert not found.is_whole


def test_above_the_limit_a_function_is_called_with_some_records(
    kinds: Engine,
) -> None:
    """All are counted, and it is said how many were tried."""
    with session_on(kinds) as session:
        kinds_with(session, *range(9))
        found = look(session, all_of(Kind), each(raise_number), Limits(records=4))
        assert (found.count, found.tried) == (9, 4)
        assert found.digest is not None
        assert found.digest.count == 9


def test_a_record_that_somebody_holds_is_told_and_the_others_are_tried(
    demo_engine: Engine,
) -> None:
    """A function waits for no lock in its trial."""
    prepare(demo_engine)
    with session_on(demo_engine) as session, demo_engine.connect() as other:
        kinds_with(session, 1, 2, 3)
        other.execute(text("SELECT 1 FROM kinds WHERE id = 2 FOR UPDATE"))
        found = look(session, all_of(Kind), each(raise_number))
        assert [left.row.key for left in found.locked] == ["2"]
        assert (found.tried, found.changed) == (2, 2)
        assert found.is_whole


def test_a_rule_that_waits_for_the_end_names_its_record(demo_engine: Engine) -> None:
    """A deferred constraint speaks of the record that breaks it, in trial and run."""
    prepare(demo_engine)
    with session_on(demo_engine) as session:
        session.execute(
            text(
                "ALTER TABLE kinds ADD CONSTRAINT late UNIQUE (number)"
                " DEFERRABLE INITIALLY DEFERRED"
            )
        )
        kinds_with(session, 1, 5, 9)

        def next_to_nine(_own: Session, record: Any) -> None:
            record.number = {1: 2, 5: 9, 9: 10}[record.number]

        found = look(session, all_of(Kind), each(next_to_nine))
        assert [left.row.key for left in found.refused] == ["2"]
        made = run(session, all_of(Kind), each(next_to_nine), token="t")
        assert (made.changed, made.refused) == (2, 1)


def test_the_sample_has_the_largest_changes_and_not_only_what_is_refused(
    kinds: Engine,
) -> None:
    """Half of it at most is left out; an amount that comes from nothing is the most."""
    with session_on(kinds) as session:
        numbers = [None, 4, 9, 1, *[999] * 6]
        session.add_all(Kind(id=at, number=n) for at, n in enumerate(numbers, 1))
        session.commit()
        change = setting(Kind, number=func.coalesce(Kind.number, 0) * 2)
        limits = Limits(seconds=30, samples=6)
        found = look(session, all_of(Kind), change, limits)
        assert [one.row.key for one in found.samples] == ["5", "6", "7", "1", "3", "2"]
        assert found.is_largest_first


def test_what_all_rows_write_is_not_told_by_whole_pages_of_a_few() -> None:
    """A page is written whole once: 4,000 of a million rows had 5,047 of 30,000."""
    few = {"written": 40_976_758, "images": 5_047}
    assert extrapolated(**few, share=250, pages=30_000) == pytest.approx(
        1.13e9, rel=0.01
    )
    # Without whole pages it is what it was, so many times.
    assert extrapolated(written=9_000, images=0, share=2, pages=5) == 18_000
    assert extrapolated(**few, share=1, pages=30_000) == 40_976_758


# Any number of ticked rows


def test_more_rows_are_chosen_than_a_statement_takes_values(
    demo_engine: Engine,
) -> None:
    """Of single values PostgreSQL takes 65,535; of keys there may be more."""
    prepare(demo_engine)
    with session_on(demo_engine) as session:
        session.execute(
            text(
                "INSERT INTO kinds (id, number) SELECT i, 1"
                " FROM generate_series(1, 70001) i"
            )
        )
        session.commit()
        chosen = [Chosen((key,), str(key), "") for key in range(1, 70_001)]
        ticked = among(all_of(Kind).keys, chosen, "postgresql")
        rows: Select[Any] = select(Kind).where(ticked)
        target = Target(all_of(Kind).mapper, rows)
        assert take_digest(session, target, []).count == 70_000
        rest: Select[Any] = select(Kind).where(not_(ticked))
        left = Target(all_of(Kind).mapper, rest)
        assert [one.key for one in read_chosen(session, left)] == ["70001"]


def test_chosen_rows_have_keys_of_two_parts(kinds: Engine) -> None:
    """Both parts together choose a row, and neither alone."""
    with session_on(kinds) as session:
        session.add_all(
            Pair(left=left, right=right, amount=0) for left in "ab" for right in (1, 2)
        )
        session.commit()
        chosen = [Chosen(("a", 1), "a;1", ""), Chosen(("b", 2), "b;2", "")]
        keys = all_of(Pair).keys
        ticked = among(keys, chosen, kinds.dialect.name)
        target = Target(all_of(Pair).mapper, select(Pair).where(ticked))
        assert [one.key for one in read_chosen(session, target)] == ["a;1", "b;2"]
        none = among(keys, [], kinds.dialect.name)
        target = Target(all_of(Pair).mapper, select(Pair).where(none))
        assert read_chosen(session, target) == []


def test_what_takes_too_long_for_all_rows_is_tried_on_fewer(
    demo_engine: Engine,
) -> None:
    """A trigger that takes its time leaves an answer about some of the rows."""
    prepare(demo_engine)
    with session_on(demo_engine) as session:
        kinds_with(session, *([1] * 200))
        session.execute(
            text(
                "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END'"
            )
        )
        session.execute(
            text(
                "CREATE TRIGGER dawdle BEFORE UPDATE ON kinds"
                " FOR EACH ROW EXECUTE FUNCTION dawdle()"
            )
        )
        session.commit()
        found = look(session, all_of(Kind), setting(Kind, number=2), Limits(seconds=1))
        assert (found.count, found.tried, found.changed) == (200, 20, 20)
        assert (found.problem, found.is_whole) == ("", False)
