"""Taking a run back."""

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update

from backoffice.audit.models import AuditEntry
from backoffice.bulk import preflight
from backoffice.bulk.batches import enqueue
from backoffice.bulk.change import SetValues
from backoffice.bulk.models import RunRow
from backoffice.bulk.plan_postgresql import plan_postgresql, selecting
from backoffice.bulk.postgresql import given_rows, update_of
from backoffice.bulk.preflight import look
from backoffice.bulk.run import Order
from backoffice.bulk.statements import caught
from backoffice.bulk.target import read_chosen, take_digest
from backoffice.bulk.trial import Limits
from backoffice.bulk.undo import undo_of
from tests.bulk.rooms import (
    Kind,
    Pair,
    Shade,
    all_of,
    prepare,
    run,
    session_on,
    setting,
    whole,
)

VALUES: dict[str, tuple[Any, ...]] = {
    "number": (0, -7, 999, None),
    "amount": (Decimal("0.100"), Decimal("-123456789.125"), None),
    "ratio": (0.1, 1e-9, -2.5, 1e20, None),
    "name": ("", "null", '"quoted"', "two\nlines", "Ünï", None),
    "is_on": (True, False, None),
    "day": (date(2024, 2, 29), date(1, 1, 1), None),
    "moment": (datetime(2024, 3, 31, 1, 30, 0, 123456, UTC), None),
    "span": (timedelta(days=2, seconds=3, microseconds=4), None),
    "shade": (Shade.LIGHT, Shade.DARK, None),
    "mark": (uuid.UUID(int=7), None),
    "blob": (b"", b"\x00\xff", b"x" * 3_000, None),
    "document": ({"a": [1, None, "x"]}, [], "null", "text", 1.5, True, None),
}
NOT_ON_SQLITE = {"moment", "blob"}


@pytest.mark.parametrize("column", VALUES)
def test_an_update_and_its_undo_leave_every_row_as_it_was(
    kinds: Engine, column: str
) -> None:
    """Whatever a column held, and whatever it was set to, the old value comes back."""
    if kinds.dialect.name == "sqlite" and column in NOT_ON_SQLITE:
        pytest.skip("SQLite keeps no time zone, and the audit no large binary value")
    with session_on(kinds) as session:
        session.add_all(Kind(**{column: value}) for value in VALUES[column])
        session.commit()
        before = whole(session, Kind)
        for number, value in enumerate(VALUES[column]):
            made = run(
                session,
                all_of(Kind),
                setting(Kind, **{column: value}),
                token=f"t{number}",
            )
            assert made.changed == len(VALUES[column]) - made.same
            back, since, change = undo_of(
                session, made, select(Kind), Kind.__mapper__, ""
            )
            del since
            run(session, back, change, token=f"u{number}", undone=made.id)
            assert whole(session, Kind) == before


def test_a_row_that_was_changed_since_is_told_apart(kinds: Engine) -> None:
    """It is not among the rows to be taken back, and keeps its newer value."""
    with session_on(kinds) as session:
        session.add_all(Kind(number=number) for number in (1, 2))
        session.commit()
        made = run(session, all_of(Kind), setting(Kind, number=5), token="t")
        session.execute(update(Kind).where(Kind.id == 1).values(number=9))
        session.commit()
        back, _, change = undo_of(session, made, select(Kind), Kind.__mapper__, "")
        undone = run(session, back, change, token="u", undone=made.id)
        assert undone.changed == 1
        assert [row[2] for row in whole(session, Kind)] == [9, 2]


def test_a_key_of_two_parts_is_found_again(kinds: Engine) -> None:
    """Keys with the separator in them are no exception."""
    with session_on(kinds) as session:
        session.add_all(
            Pair(left=left, right=1, amount=amount)
            for amount, left in enumerate(["plain", "a;b", "a\\b", "a\\;b"])
        )
        session.commit()
        before = whole(session, Pair)
        made = run(session, all_of(Pair), setting(Pair, amount=50), token="t")
        assert made.changed == 4
        back, _, change = undo_of(session, made, select(Pair), Pair.__mapper__, "")
        run(session, back, change, token="u", undone=made.id)
        assert whole(session, Pair) == before


def test_old_and_new_stand_in_the_audit(kinds: Engine) -> None:
    """One entry for each row that changed, none for one that did not."""
    with session_on(kinds) as session:
        session.add_all(Kind(number=number, name="x") for number in (1, 5))
        session.commit()
        made = run(
            session, all_of(Kind), setting(Kind, number=Kind.number + 4), token="t"
        )
        run(session, all_of(Kind), setting(Kind, name="x"), token="same")
        found = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [entry.changes for entry in found] == [
            {"number": [1, 5]},
            {"number": [5, 9]},
        ]
        assert {entry.run_id for entry in found} == {made.id}
        assert {entry.actor_label for entry in found} == {"Tess Tester"}


def test_statistics_from_before_the_first_run_mislead_nobody(
    demo_engine: Engine,
) -> None:
    """The entries of a run are read once, and not again for each of its rows.

    The statistics say that no entry belongs to a run, as they do until the audit is
    analyzed after the first one.
    """
    prepare(demo_engine)
    with session_on(demo_engine) as session:
        session.execute(
            text(
                "INSERT INTO backoffice_audit (actor_label, action, table_name, key)"
                " SELECT 'x', 'update', 'kinds', CAST(i % 200 + 1 AS text)"
                " FROM generate_series(1, 5000) i"
            )
        )
        session.add_all(Kind(number=number) for number in range(200))
        session.commit()
        session.execute(text("ANALYZE backoffice_audit"))
        made = run(session, all_of(Kind), setting(Kind, number=500), token="t")
        back, since, change = undo_of(session, made, select(Kind), Kind.__mapper__, "")
        assert isinstance(change, SetValues)
        rows = given_rows(back, read_chosen(session, back))
        for found in (selecting(back), selecting(since)):
            plan = plan_postgresql(session, found)
            # In a nested loop what stands second is looked at for each of the first.
            assert plan.index("on backoffice_audit") < plan.index("on kinds")
        plan = plan_postgresql(session, update_of(back, change, rows))
        assert "ix_backoffice_audit_run_id" not in plan
        assert "ix_backoffice_audit_table_name_key_id" in plan
        assert run(session, back, change, token="u", undone=made.id).changed == 200


def test_of_a_large_run_rows_to_be_given_back_and_others_are_found_by_one_look(
    either: Engine,
) -> None:
    """The entries of the run are read once, for both kinds of rows and their number."""
    with session_on(either) as session:
        session.add_all(Kind(number=number, name=f"n{number}") for number in range(9))
        session.commit()
        made = run(session, all_of(Kind), setting(Kind, number=500), token="t")
        session.execute(update(Kind).where(Kind.id.in_([2, 7])).values(number=1))
        session.commit()
        back, since, change = undo_of(
            session, made, select(Kind), Kind.__mapper__, "name"
        )
        digest = take_digest(session, back, read_chosen(session, back))
        order = Order("u", "kind", "undo", "Undo", "all", {}, undone_run_id=made.id)
        with caught(session) as sent:
            undone = enqueue(session, back, change, order, expected=digest, since=since)
        assert sum("FROM backoffice_audit" in one for one in sent.elements()) == 1
        session.commit()
        assert (undone.total, undone.left) == (9, 2)
        rows = session.execute(
            select(RunRow.key, RunRow.state, RunRow.label)
            .where(RunRow.run_id == undone.id)
            .order_by(RunRow.position)
        ).all()
        assert [row.key for row in rows] == [str(key) for key in range(1, 10)]
        assert [(row.key, row.label) for row in rows if row.state == "drifted"] == [
            ("2", "n1"),
            ("7", "n6"),
        ]


def test_the_preflight_of_a_large_undo_tries_the_first_rows_and_counts_both_kinds(
    either: Engine,
) -> None:
    """It does not have to find all rows to try some; what was changed since is told."""
    with session_on(either) as session:
        session.add_all(Kind(number=number) for number in range(30))
        session.commit()
        made = run(session, all_of(Kind), setting(Kind, number=500), token="t")
        session.execute(update(Kind).where(Kind.id == 3).values(number=1))
        session.commit()
        back, _, change = undo_of(session, made, select(Kind), Kind.__mapper__, "")
        found = look(session, back, change, Limits(rows=10, at_once=10))
        assert (found.count, found.left, found.changed) == (29, 1, 9)
        session.execute(update(Kind).where(Kind.id > 5).values(number=2))
        session.commit()
        found = look(session, back, change, Limits(rows=10, at_once=10))
        assert (found.count, found.left, found.is_whole) == (4, 26, True)
        assert set(found.versions or ()) == {"1", "2", "4", "5"}


def test_the_preflight_of_an_undo_tries_rows_where_another_was_cancelled(
    either: Engine,
) -> None:
    """The first rows were given back already: of the last ones some are found."""
    with session_on(either) as session:
        session.add_all(Kind(number=number) for number in range(30))
        session.commit()
        made = run(session, all_of(Kind), setting(Kind, number=500), token="t")
        session.execute(update(Kind).where(Kind.id < 12).values(number=1))
        session.commit()
        back, _, change = undo_of(session, made, select(Kind), Kind.__mapper__, "")
        found = look(session, back, change, Limits(rows=10, at_once=10))
        assert (found.count, found.left, found.tried) == (19, 11, 5)


def test_who_waits_for_the_count_of_a_large_undo_has_more_rows_tried(
    either: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as of any other update: by the first ones alone the time is guessed."""
    monkeypatch.setattr(preflight, "FIRST", 4)
    with session_on(either) as session:
        session.add_all(Kind(number=number) for number in range(60))
        session.commit()
        made = run(session, all_of(Kind), setting(Kind, number=500), token="t")
        back, _, change = undo_of(session, made, select(Kind), Kind.__mapper__, "")
        patient = Limits(rows=50, at_once=10, seconds=30, count_seconds=60)
        found = look(session, back, change, patient)
        assert (found.count, found.tried) == (60, 50)
