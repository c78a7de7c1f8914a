"""What would happen, found out without a trace."""

import pytest
from sqlalchemy import Engine, func, select, text

from backoffice.audit.models import AuditEntry
from backoffice.bulk import preflight
from backoffice.bulk.models import RowState
from backoffice.bulk.preflight import look
from backoffice.bulk.trial import Limits
from tests.bulk.rooms import Kind, all_of, session_on, setting, whole


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
