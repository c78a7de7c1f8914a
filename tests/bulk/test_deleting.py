"""Many records are deleted at once, as each would be deleted by itself."""

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    Engine,
    ForeignKey,
    LargeBinary,
    Numeric,
    String,
    Text,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, INT4RANGE, JSON, JSONB, Range
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    deferred,
    mapped_column,
    relationship,
)

from backoffice.audit.models import AuditEntry
from backoffice.bulk.batch import apply_batch
from backoffice.bulk.batches import Step, enqueue, step
from backoffice.bulk.careful import apply_carefully
from backoffice.bulk.change import EachRecord
from backoffice.bulk.models import Run, RunRow
from backoffice.bulk.outcome import Outcome
from backoffice.bulk.preflight import look
from backoffice.bulk.run import Order
from backoffice.bulk.states import RowState
from backoffice.bulk.target import read_chosen
from backoffice.bulk.trial import Limits, Preflight
from backoffice.database.keys import format_key
from backoffice.database.session import make_sessions
from backoffice.editing import deletion
from backoffice.editing.deletion_of_many import entries_of_many
from backoffice.errors import DatabaseUnavailable
from tests.bulk.rooms import all_of, session_on

# Time is no matter here.
PATIENT = Limits(seconds=60)
MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    """The tables of these tests."""


class Owner(Base):
    """What parcels refer to, and are called by."""

    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Parcel(Base):
    """Columns of many kinds, and a name that only Python knows."""

    __tablename__ = "parcels"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(20), unique=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    amount: Mapped[Decimal | None] = mapped_column(Numeric(12, 3))
    ratio: Mapped[float | None]
    is_open: Mapped[bool | None]
    day: Mapped[date | None]
    moment: Mapped[datetime | None]
    span: Mapped[timedelta | None]
    mark: Mapped[uuid.UUID | None]
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    document: Mapped[Any | None] = mapped_column(JSONB)
    loose: Mapped[Any | None] = mapped_column(JSON)
    numbers: Mapped[list[int] | None] = mapped_column(ARRAY(Numeric))
    seats: Mapped[Range[int] | None] = mapped_column(INT4RANGE)
    pin: Mapped[str | None] = mapped_column(info={"secret": True})
    long: Mapped[str | None] = deferred(mapped_column(Text))
    owner: Mapped[Owner | None] = relationship()

    def __str__(self) -> str:
        return f"{self.code} of {self.owner.name if self.owner else 'nobody'}"


class Item(Base):
    """It goes with its parcel, which it knows by code."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(
        ForeignKey("parcels.code", ondelete="CASCADE"), index=True
    )


class Label(Base):
    """It goes with its item."""

    __tablename__ = "labels"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"))


class Note(Base):
    """It stays, without its parcel."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    parcel_id: Mapped[int | None] = mapped_column(
        ForeignKey("parcels.id", ondelete="SET NULL")
    )


class Claim(Base):
    """It holds its parcel."""

    __tablename__ = "claims"

    id: Mapped[int] = mapped_column(primary_key=True)
    parcel_id: Mapped[int] = mapped_column(
        ForeignKey("parcels.id", ondelete="RESTRICT")
    )


class Folder(Base):
    """It goes with the one that it is in."""

    __tablename__ = "folders"

    id: Mapped[int] = mapped_column(primary_key=True)
    above_id: Mapped[int | None] = mapped_column(
        ForeignKey("folders.id", ondelete="CASCADE")
    )


@pytest.fixture
def depot(demo_engine: Engine) -> Engine:
    """A database with these tables."""
    Base.metadata.create_all(demo_engine)
    return demo_engine


def deleting(model: type[Any], *, is_of_many: bool = True) -> EachRecord:
    """The deletion of records of a model, in each of the two ways."""
    mapper = model.__mapper__

    def one(session: Session, record: Any) -> None:
        deletion.delete(session, model, format_key(mapper, record), limit=3)

    def foretold(session: Session, records: Sequence[Any]) -> Any:
        return entries_of_many(session, mapper, records, limit=3)

    entries = foretold if is_of_many else None
    return EachRecord(mapper, one, is_deletion=True, entries=entries)


def delete_all(
    session: Session, model: type[Any], *, is_of_many: bool = True
) -> Outcome:
    """Delete every record; what became of them."""
    rows = read_chosen(session, all_of(model))
    change = deleting(model, is_of_many=is_of_many)
    return apply_carefully(session, all_of(model), change, rows)


def entries(session: Session) -> list[tuple[Any, ...]]:
    """The whole history but its numbers and times, in an order of its own."""
    columns = [c for c in AuditEntry.__table__.c if c.name not in ("id", "at")]
    found = session.execute(select(*columns)).all()
    return sorted((tuple(row) for row in found), key=str)


def what_became(outcome: Outcome) -> Any:
    """An outcome as it can be compared."""
    left = sorted((one.row.key, one.state, one.words) for one in outcome.left)
    return sorted(outcome.changed), outcome.same, left


def parcels(session: Session, count: int = 20) -> None:
    """Parcels that nothing hangs on."""
    session.add_all(Parcel(id=n, code=f"P{n}") for n in range(1, count + 1))
    session.commit()


def full(session: Session) -> None:
    """Parcels of all values, with all that may hang on them."""
    session.add_all([Owner(id=1, name="Ann"), Owner(id=2, name="Ben")])
    session.flush()
    parcels(session)
    values: list[dict[str, Any]] = [
        {"amount": Decimal("1E+3"), "ratio": 1e300, "document": {"a": [1, 1.5, None]}},
        {"amount": Decimal("0.100"), "ratio": -0.0, "loose": "a text", "is_open": True},
        {"day": date(1, 1, 1), "moment": MOMENT, "document": 7},
        {"moment": MOMENT.replace(second=0), "numbers": []},
        {"span": timedelta(days=-3, microseconds=1), "mark": uuid.UUID(int=7)},
        {"blob": b"\0\xff" * 3, "numbers": [1, 2], "seats": Range(1, 5)},
        {"blob": b"x" * 5_000, "pin": "1234", "long": "é" * 3_000, "owner_id": 1},
    ]
    for number, given in enumerate(values, 1):
        parcel = session.get_one(Parcel, number)
        for name, value in given.items():
            setattr(parcel, name, value)
    # Of parcel 12 there are more items than are counted.
    counts = {2: 1, 3: 2, 12: 4}
    session.add_all(
        Item(code=f"P{n}") for n, many in counts.items() for _ in range(many)
    )
    session.flush()
    items = session.scalars(select(Item)).all()
    session.add_all(Label(item_id=one.id) for one in items for _ in range(2))
    session.add_all([Note(parcel_id=3), Note(parcel_id=4), Note(parcel_id=4)])
    # Of parcel 20 there are more claims than are counted.
    session.add_all(Claim(parcel_id=number) for number in (8, 8, 19, 20, 20, 20, 20))
    session.commit()


def test_many_leave_the_history_that_each_would_leave(depot: Engine) -> None:
    """Values of each kind, names, what goes along and what stays, entry by entry."""
    with session_on(depot) as session:
        full(session)
        one_by_one = what_became(delete_all(session, Parcel, is_of_many=False))
        written = entries(session)
        session.rollback()

        assert what_became(delete_all(session, Parcel)) == one_by_one
        assert entries(session) == written
    # 17 parcels, the items and labels of which there are not too many, and 3 notes.
    assert len(written) == 17 + 3 + 2 + 3
    assert one_by_one[2] == [
        ("19", RowState.REFUSED, "Still used by 1 claim."),
        ("20", RowState.REFUSED, "Still used by more than 3 claims."),
        ("8", RowState.REFUSED, "Still used by 2 claims."),
    ]


def test_as_many_statements_are_sent_for_many_as_for_some(depot: Engine) -> None:
    """No statement is sent for each record."""
    sent: list[int] = []
    for count in (30, 300):
        with session_on(depot) as session:
            parcels(session, count)
            session.add_all(Item(code=f"P{n}") for n in range(1, count))
            session.commit()
            statements: list[str] = []

            def note(*given: Any, into: list[str] = statements) -> None:
                into.append(given[2])

            event.listen(depot, "before_cursor_execute", note)
            assert len(delete_all(session, Parcel).changed) == count
            event.remove(depot, "before_cursor_execute", note)
            session.commit()
        sent.append(len(statements))
    assert sent[0] == sent[1]


STAY = """
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF OLD.id IN (41, 90) THEN RAISE EXCEPTION 'It stays.'; END IF;
  RETURN OLD;
END $$
"""
STAYS = """
CREATE TRIGGER stay BEFORE DELETE ON parcels FOR EACH ROW EXECUTE FUNCTION stay()
"""


def test_a_rule_that_no_foreign_key_tells_of_costs_no_other(depot: Engine) -> None:
    """A trigger refuses two of them: these are found, and say what it has said."""
    with session_on(depot) as session:
        parcels(session, 100)
        session.execute(text(STAY))
        session.execute(text(STAYS))
        session.commit()
        outcome = delete_all(session, Parcel)
        session.commit()

        assert [one.row.key for one in outcome.left] == ["41", "90"]
        assert all("It stays." in one.words for one in outcome.left)
        assert list(session.scalars(select(Parcel.id))) == [41, 90]
        assert len(entries(session)) == len(outcome.changed) == 98


def test_much_text_is_recorded_in_parts(
    depot: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No document is longer than the database takes, and no entry is missing."""
    from backoffice.audit import recorder_postgresql

    monkeypatch.setattr(recorder_postgresql, "LONGEST", 2_000)
    with session_on(depot) as session:
        parcels(session, 40)
        session.execute(text("UPDATE parcels SET long = repeat('é', 50)"))
        session.commit()
        sent: list[int] = []

        def note(*given: Any) -> None:
            if "jsonb_to_recordset" in given[2]:
                sent.append(max(len(str(value)) for value in given[3].values()))

        event.listen(depot, "before_cursor_execute", note)
        outcome = delete_all(session, Parcel)
        event.remove(depot, "before_cursor_execute", note)

        assert len(sent) > 1
        assert max(sent) <= 2_000 + len(sent) * 40
        written = entries(session)
    assert len(written) == len(outcome.changed) == 40
    assert {entry[7]["long"][0] for entry in written} == {"é" * 50}


ODD = """
CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF OLD.id IN (3, 41) THEN {does} END IF;
  RETURN OLD;
END $$
"""
BEFORE = "CREATE TRIGGER odd BEFORE DELETE ON parcels FOR EACH ROW"
LATE = (
    "CREATE CONSTRAINT TRIGGER odd AFTER DELETE ON parcels"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
)


@pytest.mark.parametrize(
    ("when", "does", "left"),
    [
        (BEFORE, "RETURN NULL;", 2),
        (
            BEFORE,
            "UPDATE parcels SET is_open = false WHERE id = OLD.id; RETURN NULL;",
            0,
        ),
        (BEFORE, "DELETE FROM parcels WHERE id = OLD.id + 1;", 2),
        (LATE, "RAISE EXCEPTION 'It stays.';", 2),
    ],
    ids=["kept", "marked", "another", "late"],
)
def test_a_trigger_does_to_many_what_it_does_to_each(
    depot: Engine, when: str, does: str, left: int
) -> None:
    """It keeps some silently, marks them, deletes others as well, or refuses late."""
    with session_on(depot) as session:
        parcels(session, 60)
        session.execute(text(ODD.format(does=does)))
        session.execute(text(f"{when} EXECUTE FUNCTION odd()"))
        session.commit()
        one_by_one = what_became(delete_all(session, Parcel, is_of_many=False))
        written = entries(session)
        session.rollback()

        assert what_became(delete_all(session, Parcel)) == one_by_one
        assert entries(session) == written
        assert len(one_by_one[2]) == left
        assert len(written) == 60 - left


def test_what_hangs_on_its_own_kind_goes_one_by_one(depot: Engine) -> None:
    """A folder that went along with another one has one entry, and was deleted once."""
    with session_on(depot) as session:
        session.add_all(
            Folder(id=n, above_id=n - 1 if n % 2 == 0 else None) for n in range(1, 21)
        )
        session.commit()
        one_by_one = what_became(delete_all(session, Folder, is_of_many=False))
        written = entries(session)
        session.rollback()

        assert what_became(delete_all(session, Folder)) == one_by_one
        assert entries(session) == written


def ordered(session: Session, **options: Any) -> int:
    """A run that deletes all parcels; its number."""
    order = Order("token", "parcel", "delete", "Delete", "all", {})
    change = deleting(Parcel, **options)
    number = enqueue(session, all_of(Parcel), change, order, expected=None).id
    session.commit()
    return number


def walk(engine: Engine, number: int) -> Run:
    """Do all batches of a run; the run as it is then."""

    def resolve(*_: Any) -> Any:
        return all_of(Parcel), deleting(Parcel)

    while step(make_sessions(engine), resolve, number) is Step.ON:
        pass
    with session_on(engine) as session:
        return session.get_one(Run, number)


def test_rows_that_were_written_or_are_locked_are_left_alone(depot: Engine) -> None:
    """Each says why; the locked one is met again when the others are done."""
    other = create_engine(depot.url)
    with session_on(depot) as session, other.connect() as holder:
        parcels(session, 60)
        number = ordered(session)
        session.execute(text("UPDATE parcels SET ratio = 1 WHERE id = 20"))
        session.execute(text("DELETE FROM parcels WHERE id = 30"))
        session.commit()
        holder.execute(text("SELECT FROM parcels WHERE id = 40 FOR UPDATE"))
        # A child comes: its parcel is held by it all the same.
        holder.execute(text("INSERT INTO items (code) VALUES ('P50')"))
        run = walk(depot, number)
        left = select(RunRow.key, RunRow.state).where(RunRow.state != "")
        states = {row.key: row.state for row in session.execute(left)}

        assert (run.state, run.changed, run.left) == ("done", 56, 4)
        assert states == {
            "20": RowState.DRIFTED,
            "30": RowState.GONE,
            "40": RowState.LOCKED,
            "50": RowState.LOCKED,
        }
        ids = select(Parcel.id).order_by(Parcel.id)
        assert list(session.scalars(ids)) == [20, 40, 50]
    other.dispose()


@pytest.mark.parametrize("is_of_many", [True, False])
def test_what_goes_along_is_held_from_when_it_is_told_of(
    depot: Engine, *, is_of_many: bool
) -> None:
    """Nobody moves or deletes it in between: the history has it once, as it was."""
    other = create_engine(depot.url, isolation_level="AUTOCOMMIT")
    with session_on(depot) as session, other.connect() as holder:
        parcels(session, 20)
        session.add_all(Item(id=n, code=f"P{n}") for n in range(1, 19))
        session.flush()
        session.add_all(Label(id=n, item_id=n) for n in range(1, 19))
        session.commit()
        holder.execute(text("SET lock_timeout = '50ms'"))
        held: list[str] = []

        def meddle(*given: Any) -> None:
            if "DELETE FROM parcels" in given[2] and not held:
                for statement in (
                    "UPDATE labels SET item_id = 18 WHERE id = 1",
                    "DELETE FROM items WHERE id = 1",
                ):
                    with pytest.raises(OperationalError, match="lock timeout"):
                        holder.execute(text(statement))
                    held.append(statement)

        event.listen(depot, "before_cursor_execute", meddle)
        outcome = delete_all(session, Parcel, is_of_many=is_of_many)
        event.remove(depot, "before_cursor_execute", meddle)

        assert len(held) == 2
        assert len(outcome.changed) == 20
    other.dispose()


def test_a_run_whose_worker_dies_in_a_batch_goes_on_from_the_last_one(
    depot: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the batch that was cut off nothing is left, neither rows nor entries."""
    from backoffice.bulk import batches

    monkeypatch.setattr(batches, "LEAST", 20)
    monkeypatch.setattr(batches, "MOST", 20)
    monkeypatch.setattr(batches, "FIRST_SIZE", 20)

    def die(*given: Any) -> None:
        if "DELETE FROM parcels" in given[2]:
            given[0].connection.driver_connection.execute(
                "SELECT pg_terminate_backend(pg_backend_pid())"
            )

    def resolve(*_: Any) -> Any:
        return all_of(Parcel), deleting(Parcel)

    with session_on(depot) as session:
        parcels(session, 50)
        number = ordered(session)
        assert step(make_sessions(depot), resolve, number) is Step.ON
        event.listen(depot, "after_cursor_execute", die)
        with pytest.raises(DatabaseUnavailable):
            step(make_sessions(depot), resolve, number)
        event.remove(depot, "after_cursor_execute", die)
        assert len(session.scalars(select(Parcel.id)).all()) == 30
        assert len(entries(session)) == 20
        session.rollback()

        run = walk(depot, number)

        assert (run.state, run.changed, run.left, run.refused) == ("done", 50, 0, 0)
        assert len(entries(session)) == 50


def test_a_deletion_is_tried_as_it_will_run(depot: Engine) -> None:
    """The trial of many finds what the trial one by one has found."""

    def told(found: Preflight) -> Any:
        refused = [(one.row.key, one.words) for one in found.refused]
        elsewhere = sorted(found.elsewhere)
        return found.tried, found.changed, refused, elsewhere, found.locked

    with session_on(depot) as session:
        full(session)
        many = look(session, all_of(Parcel), deleting(Parcel), PATIENT)
        each = look(
            session, all_of(Parcel), deleting(Parcel, is_of_many=False), PATIENT
        )

        assert told(many) == told(each)
        assert (many.tried, many.changed) == (20, 17)
        assert "unnest" in many.statement
        assert len(session.scalars(select(Parcel.id)).all()) == 20


def test_a_record_that_is_held_by_a_child_is_told_of_beside_the_others(
    depot: Engine,
) -> None:
    """The others were tried all the same, and at once."""
    other = create_engine(depot.url)
    with session_on(depot) as session, other.connect() as holder:
        parcels(session, 60)
        holder.execute(text("INSERT INTO items (code) VALUES ('P50')"))
        found = look(session, all_of(Parcel), deleting(Parcel), PATIENT)

        assert (found.tried, found.changed) == (59, 59)
        assert [one.row.key for one in found.locked] == ["50"]
    other.dispose()


def test_at_once_the_good_ones_go_and_the_others_say_why(depot: Engine) -> None:
    """So it is also where the batch itself is not careful."""
    with session_on(depot) as session:
        full(session)
        rows = read_chosen(session, all_of(Parcel))
        outcome = apply_batch(session, all_of(Parcel), deleting(Parcel), rows)
        assert len(outcome.changed) == 17
        assert {one.row.key for one in outcome.left} == {"8", "19", "20"}
