from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, ForeignKey, select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    configure_mappers,
    defer,
    joinedload,
    mapped_column,
    raiseload,
    relationship,
    selectinload,
)

from backoffice.observability.findings import FindingKind, findings_of
from backoffice.observability.lazy_loads import (
    lazy_loads,
    note_not_loaded,
    unused_loads,
    watch_loads,
)
from backoffice.observability.recorder import Recorder
from backoffice.observability.request_log import RequestLog, observe_request


class Base(DeclarativeBase):
    """Of this test alone: the shared metadata must not show its tables to others."""


class LazyTown(Base):
    """Where somebody lives."""

    __tablename__ = "lazy_town"
    id: Mapped[int] = mapped_column(primary_key=True)


class LazyCustomer(Base):
    """Somebody who orders."""

    __tablename__ = "lazy_customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    town_id: Mapped[int | None] = mapped_column(ForeignKey(LazyTown.id))
    town: Mapped[LazyTown | None] = relationship()


class LazyOrder(Base):
    """What somebody ordered."""

    __tablename__ = "lazy_order"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(LazyCustomer.id))
    customer: Mapped[LazyCustomer] = relationship()
    note: Mapped[str | None]


@pytest.fixture
def orders(observed: Engine) -> Iterator[Session]:
    """Twenty-five orders, each of another customer."""
    configure_mappers()
    watch_loads(Base.registry)
    Base.metadata.create_all(observed)
    with Session(observed) as session:
        for number in range(1, 26):
            town = LazyTown(id=number)
            session.add(LazyCustomer(id=number, name=str(number), town=town))
        session.flush()
        for number in range(1, 26):
            session.add(LazyOrder(id=number, customer_id=number))
        session.commit()
    with Session(observed) as session:
        yield session


def read(session: Session, number: int, *options: object) -> RequestLog:
    """A request that shows some orders with their customers' names."""
    with observe_request(RequestLog(view="order", action="list")) as log:
        rows = session.scalars(select(LazyOrder).options(*options).limit(number))  # type: ignore[arg-type]
        for order in rows.all():
            assert order.customer.name
    return log


def test_parents_that_ask_one_by_one_are_found(orders: Session) -> None:
    """Twenty-five lazy loads are one finding that names the relationship."""
    (load,) = lazy_loads(read(orders, 25))
    assert (load.path, load.key, load.parents) == ("LazyOrder.customer", "customer", 25)
    assert load.ms > 0


def test_five_parents_are_found(orders: Session) -> None:
    """The threshold is five."""
    assert len(lazy_loads(read(orders, 5))) == 1


def test_two_in_a_row_are_no_finding(orders: Session) -> None:
    """A record or two that load their parent are as it should be."""
    assert lazy_loads(read(orders, 2)) == ()


def test_loads_along_are_no_finding(orders: Session) -> None:
    """A relationship that is loaded for all parents at once is not reported."""
    log = read(orders, 25, selectinload(LazyOrder.customer))
    assert (lazy_loads(log), unused_loads(log)) == ((), ())


def test_the_finding_says_what_to_write(orders: Session) -> None:
    """The line of the view, ready to be pasted."""
    (finding,) = findings_of(read(orders, 25))
    assert finding.kind is FindingKind.LAZY_LOADS
    assert finding.fix == "load it along: in the view of LazyOrder"
    assert finding.line == 'loads = ["customer"]'
    assert finding.saved_ms > 0


def test_where_no_view_reads_it_is_the_statements_option(orders: Session) -> None:
    """A job has no view to write into: the statement itself loads along."""
    log = read(orders, 25)
    log.action = "thank"
    (finding,) = findings_of(log)
    assert finding.line == ".options(selectinload(LazyOrder.customer))"


def test_commits_between_do_not_hide_what_it_cost(orders: Session) -> None:
    """Each parent's statement counts, and no other one."""
    with observe_request(RequestLog(view="order", action="list")) as log:
        for number in range(1, 9):
            order = orders.get_one(LazyOrder, number)
            orders.execute(text("SELECT pg_sleep(0.01)"))
            orders.commit()
            assert order.customer.name
    (load,) = lazy_loads(log)
    assert load.parents == 8
    spent = {one.text.partition(" FROM")[2][:14]: one.ms for one in log.folded()}
    assert load.ms == pytest.approx(spent[" lazy_customer"])


def test_the_way_is_told_from_where_the_records_came(orders: Session) -> None:
    """A relationship behind another one is dotted, from the model of the list."""
    with observe_request(RequestLog(view="order", action="list")) as log:
        rows = orders.scalars(
            select(LazyOrder).options(selectinload(LazyOrder.customer))
        ).all()
        assert [row.customer.town for row in rows]
    (finding,) = findings_of(log)
    assert finding.line == 'loads = ["customer.town"]'


def test_what_must_not_be_loaded_leaves_a_finding(orders: Session) -> None:
    """A list loads nothing later: who asks all the same is told what to write."""
    with observe_request(RequestLog(view="order", action="list")) as log:
        options = (raiseload("*"), defer(LazyOrder.note, raiseload=True))
        for order in orders.scalars(select(LazyOrder).options(*options)):
            for name in ("customer", "note"):
                with pytest.raises(InvalidRequestError) as caught:
                    getattr(order, name)
                note_not_loaded(caught.value, order)
    lines = {one.subject: one.line for one in findings_of(log)}
    assert lines == {
        "LazyOrder.customer": 'loads = ["customer"]',
        "LazyOrder.note": 'loads = ["note"]',
    }


@pytest.mark.parametrize("load", [joinedload, selectinload])
def test_a_load_that_nobody_used_is_named(orders: Session, load: object) -> None:
    """A relationship that was loaded along and never read is named."""
    with observe_request(RequestLog()) as log:
        statement = select(LazyOrder).options(load(LazyOrder.customer))  # type: ignore[operator]
        assert len(orders.scalars(statement).all()) == 25
    assert unused_loads(log) == ("LazyOrder.customer",)


@pytest.mark.parametrize(("action", "number"), [("list", 1), ("ajax_lookup", 0)])
def test_what_a_name_may_need_is_no_finding(
    orders: Session, action: str, number: int
) -> None:
    """A view's page says what it loads; for a name all is loaded that it may read."""
    with observe_request(RequestLog(view="order", action=action)) as log:
        statement = select(LazyOrder).options(joinedload(LazyOrder.customer))
        assert len(orders.scalars(statement).all()) == 25
    assert len(findings_of(log)) == number


def test_reading_after_the_session_counts_as_use(orders: Session) -> None:
    """A template that reads a record after its session has closed has used it."""
    with observe_request(RequestLog()) as log:
        statement = select(LazyOrder).options(joinedload(LazyOrder.customer))
        rows = orders.scalars(statement).all()
        orders.close()
        assert [row.customer.name for row in rows]
    assert unused_loads(log) == ()


def test_findings_are_counted_once_per_subject(orders: Session) -> None:
    """The same finding in two requests is one entry met twice."""
    recorder = Recorder()
    for _ in range(2):
        recorder.record_request(read(orders, 25))
        orders.expunge_all()
    (stats,) = recorder.findings.values()
    assert stats.count == 2
    assert recorder.lazy_counts == {("order", "LazyOrder.customer"): 2}
