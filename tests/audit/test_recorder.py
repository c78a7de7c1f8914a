"""Every change has its entry, and no entry is without its change."""

import enum
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    URL,
    Column,
    Computed,
    Engine,
    ForeignKey,
    String,
    Table,
    event,
    func,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
)

from backoffice.audit.history import (
    HistoryEntry,
    entry_columns,
    entry_of,
    history_of,
    last_changes,
    last_deletion,
)
from backoffice.audit.models import AuditEntry
from backoffice.audit.recorder import add_entry, record_changes
from backoffice.database.engine import make_engine
from backoffice.database.session import ACTOR, PLACE, REQUEST_ID, Actor, Place
from backoffice.settings import DatabaseSettings


class Base(DeclarativeBase):
    """The tables of this file."""


class Size(enum.Enum):
    """Stored by name."""

    SMALL = 1
    LARGE = 2


sent_by = Table(
    "sent_by",
    Base.metadata,
    Column("parcel_id", ForeignKey("parcels.id"), primary_key=True),
    Column("courier_id", ForeignKey("couriers.id"), primary_key=True),
)


class Courier(Base):
    """Carries many parcels, each with others."""

    __tablename__ = "couriers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))

    def __str__(self) -> str:
        return self.name


class Owner(Base):
    """Has parcels."""

    __tablename__ = "owners"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    password: Mapped[str | None] = mapped_column(info={"secret": True})
    parcels: Mapped[list["Parcel"]] = relationship(
        back_populates="owner", cascade="all, delete-orphan"
    )

    def __str__(self) -> str:
        return f"{self.name} the owner"


class Parcel(Base):
    """Has columns of several kinds."""

    __tablename__ = "parcels"
    id: Mapped[int] = mapped_column(primary_key=True)
    weight: Mapped[int]
    price: Mapped[int] = mapped_column(server_default="3")
    cost: Mapped[int] = mapped_column(Computed("weight * price", persisted=True))
    size: Mapped[Size | None]
    sent_at: Mapped[datetime | None]
    notes: Mapped[str | None] = mapped_column(String, deferred=True)
    extra: Mapped[Any] = mapped_column(JSON, nullable=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    owner: Mapped[Owner | None] = relationship(back_populates="parcels")
    couriers: Mapped[list[Courier]] = relationship(secondary=sent_by, backref="parcels")
    touched_at: Mapped[datetime] = mapped_column(
        server_default=func.now(),
        onupdate=func.now(),
        info={"read_only": "Kept by the database."},
    )


class Beat(Base):
    """Left out of the audit."""

    __tablename__ = "beats"
    id: Mapped[int] = mapped_column(primary_key=True)
    __table_args__ = ({"info": {"audit": False}},)


@pytest.fixture(scope="module")
def shared_database(server: Engine) -> Iterator[URL]:
    """A database that the tests of this file share."""
    name = f"test_audit_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield server.url.set(database=name)
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(params=["postgresql", "sqlite"])
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    """A recorded session of Ruth's, on both databases."""
    if request.param == "sqlite":
        url = URL.create("sqlite", database=str(tmp_path / "test.db"))
    else:
        url = request.getfixturevalue("shared_database")
    engine = make_engine(url, DatabaseSettings(), application_name="test")
    entries = AuditEntry.metadata.tables["backoffice_audit"]
    Base.metadata.drop_all(engine)
    entries.drop(engine, checkfirst=True)
    Base.metadata.create_all(engine)
    entries.create(engine)
    with Session(engine, expire_on_commit=False) as session:
        session.info[ACTOR] = Actor("7", "Ruth Adeyemi")
        session.info[PLACE] = Place("parcel", "edit")
        session.info[REQUEST_ID] = "r-1"
        record_changes(session)
        yield session
    engine.dispose()


def newest(session: Session, limit: int) -> list[HistoryEntry]:
    """The newest entries of all."""
    query = select(*entry_columns(session)).order_by(AuditEntry.id.desc())
    return [entry_of(row) for row in session.execute(query.limit(limit)).mappings()]


def changes(session: Session, table: str = "parcels", key: str = "1") -> Any:
    """Action and changes of each entry of a record, oldest first."""
    entries = history_of(session, table, key, 20)
    return [(e.action, {k: list(v) for k, v in e.changes.items()}) for e in entries][
        ::-1
    ]


def add_parcel(session: Session, **values: Any) -> Parcel:
    """A committed parcel."""
    parcel = Parcel(**{"weight": 2, **values})
    session.add(parcel)
    session.commit()
    return parcel


def test_creation_says_what_there_is(recorded: Session) -> None:
    """An insert's entry has the values, defaults and computed ones included."""
    add_parcel(recorded, size=Size.LARGE)

    assert changes(recorded) == [
        (
            "create",
            {
                "id": [None, 1],
                "weight": [None, 2],
                "price": [None, 3],
                "cost": [None, 6],
                "size": [None, "LARGE"],
            },
        )
    ]


def test_update_says_old_and_new_and_nothing_else(recorded: Session) -> None:
    """An update's entry has the changed columns, and the computed one they change."""
    parcel = add_parcel(recorded)
    recorded.refresh(parcel)

    parcel.weight = 5
    parcel.price = 3  # as it was
    recorded.commit()

    assert changes(recorded)[1] == ("update", {"weight": [2, 5], "cost": [6, 15]})


def test_entry_says_who_where_and_when(recorded: Session) -> None:
    """Actor, view and request id come from the session."""
    add_parcel(recorded)

    entry = newest(recorded, 1)[0]

    assert (entry.actor_id, entry.actor_label) == ("7", "Ruth Adeyemi")
    assert (entry.view, entry.request_id) == ("parcel", "r-1")
    assert (entry.table_name, entry.key, entry.label) == ("parcels", "1", "Parcel 1")
    assert entry.at.tzinfo is not None


def test_old_value_is_known_though_never_loaded(recorded: Session) -> None:
    """Setting an expired or deferred attribute still records what it was."""
    parcel = add_parcel(recorded, notes="fragile")
    recorded.expire(parcel)

    parcel.notes = "sturdy"
    recorded.commit()

    assert changes(recorded)[1] == ("update", {"notes": ["fragile", "sturdy"]})


def test_new_value_of_an_expression_is_read(recorded: Session) -> None:
    """What only the database can work out is asked for."""
    parcel = add_parcel(recorded)

    parcel.weight = Parcel.weight + 1
    recorded.commit()

    assert changes(recorded)[1] == ("update", {"weight": [2, 3], "cost": [6, 9]})


def test_deletion_keeps_the_old_values(recorded: Session) -> None:
    """After a delete the record can be read in its entry."""
    parcel = add_parcel(recorded, notes="fragile", extra={"a": [1, None]})
    recorded.expire(parcel)

    recorded.delete(parcel)
    recorded.commit()

    action, gone = changes(recorded)[1]
    assert action == "delete"
    assert gone["notes"] == ["fragile", None]
    assert gone["extra"] == [{"a": [1, None]}, None]
    assert gone["cost"] == [6, None]


def test_orphan_has_its_entry(recorded: Session) -> None:
    """A row that SQLAlchemy decides to delete is recorded like any other."""
    owner = Owner(name="Ann", parcels=[Parcel(weight=1)])
    recorded.add(owner)
    recorded.commit()

    owner.parcels.clear()
    recorded.commit()

    assert [action for action, _ in changes(recorded)] == ["create", "delete"]


def test_reference_is_recorded_by_its_key(recorded: Session) -> None:
    """Setting a relationship is the change of its column."""
    parcel = add_parcel(recorded)

    parcel.owner = Owner(name="Ann")
    recorded.commit()

    assert changes(recorded)[1] == ("update", {"owner_id": [None, 1]})


def test_links_are_recorded_by_who_left_and_joined(recorded: Session) -> None:
    """A table of pairs has no entries of its own: both records have theirs."""
    ann, ben = Courier(id=1, name="Ann"), Courier(id=2, name="Ben")
    parcel = Parcel(id=1, weight=1, couriers=[ann])
    recorded.add_all([parcel, ben])
    recorded.commit()
    parcel.couriers = [ben]
    recorded.commit()
    parcel.weight = 2
    parcel.couriers.append(ann)
    recorded.commit()

    created, swapped, joined = (found for _, found in changes(recorded))
    assert created["couriers"] == [None, "Ann"]
    assert swapped == {"couriers": ["Ann", "Ben"]}
    assert joined["couriers"] == [None, "Ann"]
    assert joined["weight"] == [1, 2]
    of_ann = [found for _, found in changes(recorded, "couriers", "1")]
    assert of_ann[1] == {"parcels": ["Parcel 1", None]}


def test_new_key_is_told_in_the_history_of_both(recorded: Session) -> None:
    """Under the old key it says what became of it, under the new where it is from."""
    parcel = add_parcel(recorded, id=1)
    parcel.id = 5
    recorded.commit()
    parcel.weight = 3
    recorded.commit()

    assert [action for action, _ in changes(recorded)] == ["create", "update"]
    assert changes(recorded)[1] == ("update", {"id": [1, 5]})
    renamed, heavier = (found for _, found in changes(recorded, key="5"))
    assert renamed == {"id": [1, 5]}
    assert heavier["weight"] == [2, 3]


def test_secret_is_masked(recorded: Session) -> None:
    """That a secret changed is said, its values never."""
    owner = Owner(name="Ann", password="one")
    recorded.add(owner)
    recorded.commit()

    owner.password = "two"
    recorded.commit()

    assert changes(recorded, "owners")[0][1]["password"] == [None, "…"]
    assert changes(recorded, "owners")[1] == ("update", {"password": ["…", "…"]})


def test_record_is_called_as_it_calls_itself(recorded: Session) -> None:
    """The label is the record's own text where it has one."""
    recorded.add(Owner(name="Ann"))
    recorded.commit()

    assert newest(recorded, 1)[0].label == "Ann the owner"


def test_same_value_leaves_no_entry(recorded: Session) -> None:
    """A record that is touched and not changed has nothing to tell."""
    parcel = add_parcel(recorded)

    parcel.weight = 9
    parcel.weight = 2
    recorded.commit()

    assert len(changes(recorded)) == 1


def test_values_of_all_kinds_are_kept(recorded: Session) -> None:
    """Times, enums and documents are written so that JSON can hold them."""
    parcel = add_parcel(recorded)

    parcel.sent_at = datetime(2025, 8, 31, 14, 30, 0, 5)  # noqa: DTZ001 - no zone
    parcel.size = Size.SMALL
    parcel.extra = {"n": 12345678901234567890123}
    recorded.commit()

    assert changes(recorded)[1][1] == {
        "sent_at": [None, "2025-08-31T14:30:00.000005"],
        "size": [None, "SMALL"],
        "extra": [None, {"n": 12345678901234567890123}],
    }


def test_failing_audit_undoes_the_change(recorded: Session) -> None:
    """Where no entry can be written, nothing is."""
    parcel = add_parcel(recorded)
    recorded.execute(text("DROP TABLE backoffice_audit"))
    recorded.commit()

    parcel.weight = 9
    with pytest.raises(DBAPIError):
        recorded.commit()
    recorded.rollback()

    assert recorded.scalar(select(Parcel.weight)) == 2


def test_savepoint_takes_its_entries_with_it(recorded: Session) -> None:
    """What is rolled back was not done, and is not said."""
    parcel = add_parcel(recorded)
    savepoint = recorded.begin_nested()
    parcel.weight = 9
    recorded.flush()

    savepoint.rollback()
    recorded.commit()

    assert len(changes(recorded)) == 1


def test_bookkeeping_tables_are_left_out(recorded: Session) -> None:
    """A table that asks not to be audited is not."""
    recorded.add(Beat())
    recorded.commit()

    assert newest(recorded, 5) == []


def test_many_rows_cost_one_statement(recorded: Session) -> None:
    """A flush writes all its entries at once."""
    statements: list[str] = []
    event.listen(
        recorded.get_bind(),
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )

    recorded.add_all([Parcel(weight=n) for n in range(50)])
    recorded.commit()

    assert len([s for s in statements if "backoffice_audit" in s]) == 1
    assert len(newest(recorded, 100)) == 50


def test_event_without_a_record_has_an_entry(recorded: Session) -> None:
    """A login is written by whoever knows of it."""
    add_entry(recorded, action="login", actor=Actor("9", "Ben"), view="")
    recorded.commit()

    entry = newest(recorded, 1)[0]
    assert (entry.actor_label, entry.table_name, dict(entry.changes)) == ("Ben", "", {})


def test_entries_outlive_their_user(recorded: Session) -> None:
    """Deleting an owner leaves what was written about them."""
    owner = Owner(name="Ann")
    recorded.add(owner)
    recorded.commit()

    recorded.delete(owner)
    recorded.commit()

    assert [action for action, _ in changes(recorded, "owners")] == ["create", "delete"]


def test_last_change_of_a_field_is_found(recorded: Session) -> None:
    """Each field has the newest entry that touched it."""
    parcel = add_parcel(recorded)
    for weight in (3, 4):
        parcel.weight = weight
        recorded.commit()
    parcel.notes = "x"
    recorded.commit()

    found = last_changes(recorded, "parcels", "1", ["weight", "notes", "extra"])

    assert found["weight"].changes["weight"] == (3, 4)
    assert found["notes"].changes["notes"] == (None, "x")
    assert "extra" not in found


def test_deletion_is_found(recorded: Session) -> None:
    """Who deleted a record can be said."""
    parcel = add_parcel(recorded)
    assert last_deletion(recorded, "parcels", "1") is None

    recorded.delete(parcel)
    recorded.commit()

    deletion = last_deletion(recorded, "parcels", "1")
    assert deletion is not None
    assert deletion.actor_label == "Ruth Adeyemi"
