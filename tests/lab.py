"""Models that are hard to administer, with views that mostly say nothing about them."""

import enum
import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Interval,
    Numeric,
    Select,
    String,
    Table,
    Text,
    Time,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, JSONB
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    deferred,
    mapped_column,
    relationship,
)

from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView


class LabBase(DeclarativeBase):
    """Tables of the tests alone."""


class Level(enum.Enum):
    """Members whose names are not their values."""

    JUNIOR = "j"
    SENIOR = "s"


in_team = Table(
    "lab_in_team",
    LabBase.metadata,
    Column("worker_id", ForeignKey("lab_workers.id"), primary_key=True),
    Column("team_id", ForeignKey("lab_teams.id"), primary_key=True),
)


class Team(LabBase):
    """Many workers are in many of them."""

    __tablename__ = "lab_teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))

    workers: Mapped[list["Worker"]] = relationship(
        secondary=in_team, back_populates="teams"
    )


class Worker(LabBase):
    """One of every kind of column."""

    __tablename__ = "lab_workers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    weight: Mapped[float | None]
    level: Mapped[Level | None]
    meta: Mapped[Any] = mapped_column(JSONB(none_as_null=True), nullable=True)
    balance: Mapped[Decimal] = mapped_column(
        Numeric(10, 2), default=Decimal(0), server_default="0"
    )
    rank: Mapped[str] = mapped_column(String(10), server_default="fresh")
    numbers: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    pause: Mapped[timedelta | None] = mapped_column(Interval)
    begins: Mapped[time | None] = mapped_column(Time)
    network: Mapped[Any] = mapped_column(CIDR, nullable=True)
    badge: Mapped[uuid.UUID | None]
    is_hidden: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    password_hash: Mapped[str | None] = mapped_column(
        String(200), info={"secret": True}
    )
    story: Mapped[str | None] = deferred(mapped_column(Text))
    double: Mapped[Decimal | None] = mapped_column(
        Numeric(12, 2), Computed("balance * 2", persisted=True)
    )
    manager_id: Mapped[int | None] = mapped_column(ForeignKey("lab_workers.id"))

    manager: Mapped["Worker | None"] = relationship(
        remote_side=[id], back_populates="reports"
    )
    reports: Mapped[list["Worker"]] = relationship(back_populates="manager")
    teams: Mapped[list[Team]] = relationship(
        secondary=in_team, back_populates="workers"
    )

    __table_args__ = (CheckConstraint("balance >= 0", name="lab_balance"),)


class Parcel(LabBase):
    """A key of any letters."""

    __tablename__ = "lab_parcels"

    code: Mapped[str] = mapped_column(String(50), primary_key=True)
    note: Mapped[str | None] = mapped_column(String(50))


class Slot(LabBase):
    """A key of two columns."""

    __tablename__ = "lab_slots"

    day: Mapped[date] = mapped_column(primary_key=True)
    room: Mapped[str] = mapped_column(String(20), primary_key=True)
    topic: Mapped[str | None] = mapped_column(String(50))

    bookings: Mapped[list["Booking"]] = relationship(back_populates="slot")


class Booking(LabBase):
    """A reference of two columns."""

    __tablename__ = "lab_bookings"

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date]
    room: Mapped[str] = mapped_column(String(20))
    person: Mapped[str] = mapped_column(String(50))

    slot: Mapped[Slot] = relationship(back_populates="bookings")

    __table_args__ = (
        ForeignKeyConstraint(["day", "room"], ["lab_slots.day", "lab_slots.room"]),
    )


class Sheet(LabBase):
    """Columns that are called as forms and addresses call things of their own."""

    __tablename__ = "lab_sheets"

    id: Mapped[int] = mapped_column(primary_key=True)
    csrf: Mapped[str] = mapped_column(String(50))
    state: Mapped[str | None] = mapped_column(String(50))
    then: Mapped[str | None] = mapped_column(String(50))
    do: Mapped[str | None] = mapped_column(String(50))
    set: Mapped[str | None] = mapped_column(String(50))
    page: Mapped[int | None]
    next: Mapped[str | None] = mapped_column(String(50))
    worker_id: Mapped[int | None] = mapped_column(ForeignKey("lab_workers.id"))
    worker__key: Mapped[str | None] = mapped_column(String(50))
    worker__for: Mapped[str | None] = mapped_column(String(50))
    state__written: Mapped[str | None] = mapped_column(String(50))

    worker: Mapped[Worker | None] = relationship()


class Era(LabBase):
    """Times, some of which Python has no value for."""

    __tablename__ = "lab_eras"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    began: Mapped[date | None]
    at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    clock: Mapped[time | None]
    length: Mapped[timedelta | None] = mapped_column(Interval)


class Gate(LabBase):
    """What somebody could open it with, by names that say so."""

    __tablename__ = "lab_gates"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    api_key: Mapped[str] = mapped_column(String(50), unique=True)
    passwordHash: Mapped[str | None] = mapped_column(String(50))  # noqa: N815 - theirs
    token_type: Mapped[str | None] = mapped_column(String(50))
    tokens: Mapped[int | None]
    etag_hash: Mapped[str | None] = mapped_column(String(50), info={"secret": False})


class Vault(LabBase):
    """What not everybody may list."""

    __tablename__ = "lab_vaults"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Visit(LabBase):
    """Refers to what not everybody may list."""

    __tablename__ = "lab_visits"

    id: Mapped[int] = mapped_column(primary_key=True)
    why: Mapped[str] = mapped_column(String(50))
    vault_id: Mapped[int | None] = mapped_column(ForeignKey("lab_vaults.id"))

    vault: Mapped[Vault | None] = relationship()


def shout(record: Any, name: str) -> str:
    """A formatter that does not survive every record."""
    value = getattr(record, name)
    if value == "Breaks":
        raise ValueError(value)
    return str(value).upper()


class WorkerAdmin(ModelView, model=Worker):
    """Those who are not hidden."""

    identity = "lab-worker"
    category = "Lab"
    column_list: ClassVar[Any] = ["name", "manager", "manager.manager.name", "level"]
    column_searchable_list: ClassVar[Any] = ["name", "manager.name"]
    column_filters: ClassVar[Any] = ["level", "manager", "is_hidden"]
    column_sortable_list: ClassVar[Any] = ["name", "level", "manager.name"]
    column_formatters: ClassVar[Any] = {"name": shout}
    form_readonly_columns: ClassVar[Any] = ["rank"]

    def scope(self, select: Select[Any], call: Call) -> Select[Any]:
        """Everybody but the hidden."""
        del call
        return select.where(Worker.is_hidden.is_(False))


class BossAdmin(ModelView, model=Worker):
    """The same model once more, as it comes."""

    identity = "lab-boss"
    name = "Boss"
    name_plural = "Bosses"
    category = "Lab"


class ParcelAdmin(ModelView, model=Parcel):
    """As it comes."""

    identity = "lab-parcel"
    category = "Lab"


class SlotAdmin(ModelView, model=Slot):
    """As it comes."""

    identity = "lab-slot"
    category = "Lab"


class BookingAdmin(ModelView, model=Booking):
    """As it comes."""

    identity = "lab-booking"
    category = "Lab"


class EraAdmin(ModelView, model=Era):
    """As it comes."""

    identity = "lab-era"
    category = "Lab"
    column_sortable_list: ClassVar[Any] = ["began", "at"]


class SheetAdmin(ModelView, model=Sheet):
    """As it comes."""

    identity = "lab-sheet"
    category = "Lab"


class GateAdmin(ModelView, model=Gate):
    """As it comes."""

    identity = "lab-gate"
    category = "Lab"
    form_columns: ClassVar[Any] = ["name", "api_key", "token_type"]


class GuardAdmin(ModelView, model=Gate):
    """Names all that there is."""

    identity = "lab-guard"
    category = "Lab"
    column_list: ClassVar[Any] = ["name", "api_key", "passwordHash", "etag_hash"]
    column_details_list: ClassVar[Any] = column_list
    column_export_list: ClassVar[Any] = column_list
    column_searchable_list: ClassVar[Any] = ["name", "api_key"]
    column_sortable_list: ClassVar[Any] = ["name", "api_key"]
    column_filters: ClassVar[Any] = ["api_key", "etag_hash"]


class TeamAdmin(ModelView, model=Team):
    """Only to be looked at."""

    identity = "lab-team"
    category = "Lab"
    can_create = can_edit = can_delete = can_export = False


class VaultAdmin(ModelView, model=Vault):
    """For administrators."""

    identity = "lab-vault"
    category = "Lab"

    def may(self, role: str, action: str) -> bool:
        """Nobody else knows what there is."""
        return role == "admin" and super().may(role, action)


class ShutAdmin(ModelView, model=Vault):
    """A list and nothing behind it."""

    identity = "lab-shut"
    category = "Lab"
    column_list: ClassVar[Any] = ["name"]
    can_view_details = can_create = can_edit = can_delete = False


class MemberAdmin(ModelView, model=Worker):
    """Found by the teams that they are in."""

    identity = "lab-member"
    category = "Lab"
    column_list: ClassVar[Any] = ["name"]
    column_searchable_list: ClassVar[Any] = ["name", "teams.name"]


class VisitAdmin(ModelView, model=Visit):
    """For everybody."""

    identity = "lab-visit"
    category = "Lab"
    column_list: ClassVar[Any] = ["why", "vault"]
    column_filters: ClassVar[Any] = ["vault"]
    column_searchable_list: ClassVar[Any] = ["why", "vault.name"]


views = [
    WorkerAdmin,
    BossAdmin,
    ParcelAdmin,
    SlotAdmin,
    BookingAdmin,
    EraAdmin,
    SheetAdmin,
    GateAdmin,
    GuardAdmin,
    TeamAdmin,
    VaultAdmin,
    ShutAdmin,
    VisitAdmin,
    MemberAdmin,
]
