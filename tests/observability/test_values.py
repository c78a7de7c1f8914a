"""What statements ran with: how long it is known, of which, and how much of it."""

from collections.abc import Callable
from datetime import timedelta
from time import perf_counter_ns
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from backoffice.database.session import Place, Work, working
from backoffice.observability.measurement import Measurement
from backoffice.observability.request_log import RequestLog, observe_request
from backoffice.observability.snapshots import take_counters, take_statements
from backoffice.observability.values import (
    CALLS,
    LARGEST,
    MOST,
    REQUESTS,
    Call,
    KeptValues,
)
from tests.observability.conftest import Kept

metadata = MetaData()
people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String),
    Column("secret", String, info={"secret": True}),
    Column("more", JSON),
)
by_name = select(people.c.id).where(people.c.name == "Ann")
STUDENTS, COURSES = Place("student", "list"), Place("course", "list")


@pytest.fixture
def engine(observed: Engine) -> Engine:
    """Under observation, with a table of people."""
    metadata.create_all(observed)
    return observed


def named(name: str) -> Any:
    """The people of a name."""
    return select(people.c.id).where(people.c.name == name)


def run(engine: Engine, statement: Any, place: Place = STUDENTS, **more: Any) -> None:
    """Run it for a view."""
    with working(Work(place)), engine.begin() as connection:
        connection.execute(statement, **more)


def newest(recorder: Kept, operation: str = "SELECT") -> tuple[Call, ...]:
    """The newest calls of the statement that ran last."""
    return recorder.newest_calls(recorder.of(operation)[-1].fingerprint.id)


def given(call: Call) -> dict[str, Any]:
    """What a call ran with, by name."""
    assert isinstance(call.values, dict)
    return call.values


def test_the_newest_call_of_each_view_is_known(engine: Engine, recorder: Kept) -> None:
    """With the text that ran and its values, the newest first."""
    for name in ("Ann", "Bob"):
        run(engine, named(name))
    run(engine, named("Cleo"), COURSES)
    found = newest(recorder)
    assert [one.measured.view for one in found] == ["course", "student"]
    assert [given(one) for one in found] == [
        {"name_1": "Cleo"},
        {"name_1": "Bob"},
    ]
    assert all(one.is_whole and "WHERE people.name" in one.text for one in found)


def test_every_slow_and_failed_call_is_known(engine: Engine, recorder: Kept) -> None:
    """Not only the newest; found again by its moment, as the slow log has it."""
    recorder.slow_ns = 0
    for name in ("Ann", "Bob"):
        run(engine, named(name))
    slow = recorder.values.slow(recorder.of("SELECT")[-1].fingerprint.id)
    assert [given(one)["name_1"] for one in slow] == ["Bob", "Ann"]
    first = recorder.find_call(slow[1].fingerprint, at=slow[1].at)
    assert first is not None
    assert given(first) == {"name_1": "Ann"}
    recorder.slow_ns = 10**12
    with pytest.raises(DBAPIError):
        run(engine, select(people.c.id).where(people.c.id == 10**12))
    (failed,) = recorder.values.slow(recorder.of("SELECT")[-1].fingerprint.id)
    assert given(failed) == {"id_1": 10**12}


def test_a_request_whose_cost_is_shown_is_known(engine: Engine, recorder: Kept) -> None:
    """Also after another request has run the same."""
    with observe_request(RequestLog(request_id="one")) as log:
        run(engine, named("Ann"))
        recorder.values.keep_request(log.request_id, log.calls.values())
    run(engine, named("Bob"))
    (found,) = recorder.values.of_request("one")
    assert found.values == {"name_1": "Ann"}
    assert recorder.values.of_request("two") == ()


def test_after_a_quarter_of_an_hour_nothing_is_known(
    engine: Engine, recorder: Kept
) -> None:
    """It is not told any more, and it is not in memory any more."""
    recorder.slow_ns = 0
    with observe_request(RequestLog(request_id="one")) as log:
        run(engine, named("canary-4711"))
        recorder.values.keep_request(log.request_id, log.calls.values())
    (call,) = newest(recorder)
    begun = perf_counter_ns()
    recorder.values._clock = lambda: begun + 14 * 60 * 10**9
    assert newest(recorder)
    recorder.values._clock = lambda: begun + 15 * 60 * 10**9
    assert newest(recorder) == ()
    assert recorder.values.slow(call.fingerprint) == ()
    assert recorder.values.of_request("one") == ()
    recorder.forget_values()
    assert recorder.values.bytes == 0
    assert all(stats.newest is None for stats in recorder.statements.values())


def test_until_when_is_told(engine: Engine, recorder: Kept) -> None:
    """A quarter of an hour after it ended."""
    run(engine, by_name)
    (call,) = newest(recorder)
    assert timedelta(minutes=14) < call.until - call.at <= timedelta(minutes=16)


def test_a_secret_is_in_no_memory(engine: Engine, recorder: Kept) -> None:
    """Of an INSERT its other values are known, and it cannot be planned with them."""
    recorder.slow_ns = 0
    values = {"id": 1, "name": "Ann", "secret": "canary-4711"}
    with observe_request(RequestLog()) as log:
        run(engine, insert(people).values(values))
        run(engine, select(people.c.id).where(people.c.secret.in_(["canary-4711"])))
        everything = repr(
            (log.calls, recorder.statements, recorder.values._slow.__dict__)
        )
        everything += repr([stats.newest for stats in recorder.statements.values()])
    (call,) = newest(recorder, "INSERT")
    assert call.values == {"id": 1, "name": "Ann"}
    assert call.withheld == ("secret",)
    assert not call.is_whole
    assert "canary-4711" not in everything


def test_what_was_written_by_hand_is_not_kept(engine: Engine, recorder: Kept) -> None:
    """Neither a driver's own SQL, nor text with its literals."""
    with working(Work(STUDENTS)), engine.begin() as connection:
        connection.exec_driver_sql("SELECT 'canary-4711' AS a")
        connection.exec_driver_sql("SELECT %s", ("canary-4711",))
        connection.execute(text("SELECT 'canary-4711', :a"), {"a": "canary-4711"})
    kept = [stats.newest for stats in recorder.statements.values()]
    assert "canary-4711" not in repr(kept)


def test_what_is_no_plain_value_is_left_out(engine: Engine, recorder: Kept) -> None:
    """A document may be changed by its owner, and says more than a value."""
    run(engine, insert(people).values(id=2, name="Ann", more={"a": "canary-4711"}))
    (call,) = newest(recorder, "INSERT")
    assert call.values == {"id": 2, "name": "Ann"}
    assert call.withheld == ("more",)


def test_what_is_long_is_left_out(engine: Engine, recorder: Kept) -> None:
    """A megabyte is not kept, and the rest of its statement is."""
    run(engine, insert(people).values(id=3, name="x" * 1_000_000))
    (call,) = newest(recorder, "INSERT")
    assert call.values == {"id": 3}
    assert call.withheld == ("name",)


def test_several_rows_at_once_are_not_kept(engine: Engine, recorder: Kept) -> None:
    """Loads of data are nobody's evidence."""
    with working(Work(STUDENTS)), engine.begin() as connection:
        rows = [{"id": 10 + n, "name": "canary-4711"} for n in range(3)]
        connection.execute(insert(people), rows)
    kept = [stats.newest for stats in recorder.statements.values()]
    assert "canary-4711" not in repr(kept)


def test_without_minutes_nothing_is_kept(
    make_observed: Callable[..., tuple[Engine, Any]], recorder: Kept
) -> None:
    """It is a setting."""
    recorder.values = KeptValues(seconds=0)
    recorder.slow_ns = 0
    engine, _ = make_observed()
    metadata.create_all(engine)
    run(engine, by_name)
    assert newest(recorder) == ()
    assert recorder.values.bytes == 0


def test_memory_is_bounded(engine: Engine, recorder: Kept) -> None:
    """In number and in bytes; the oldest make way."""
    run(engine, named("x" * (LARGEST - 500)))
    (call,) = newest(recorder)
    values = recorder.values
    for number in range(CALLS + 50):
        one = Measurement(call.measured.fingerprint, None, number, perf_counter_ns())
        taken = (one, call.text, call.values, ())
        values.keep_slow(taken)
        values.keep_request(str(number), (taken,))
    assert values.bytes <= 2 * MOST
    assert len(values._slow._kept) <= CALLS
    assert len(values._requests._kept) <= REQUESTS
    assert values.of_request(str(CALLS + 49))
    assert values.of_request("1") == ()


def test_no_value_is_in_what_other_processes_read(
    engine: Engine, recorder: Kept
) -> None:
    """The snapshot has the statement and none of its values."""
    run(engine, named("canary-4711"))
    written = repr(take_counters(recorder, ())) + repr(take_statements(recorder))
    assert "people.name" in written
    assert "canary-4711" not in written


def test_counting_anew_forgets_the_values(engine: Engine, recorder: Kept) -> None:
    """As it forgets the statements."""
    recorder.slow_ns = 0
    run(engine, by_name)
    name = recorder.of("SELECT")[-1].fingerprint.id
    recorder.forget()
    assert recorder.values.slow(name) == ()
    assert recorder.newest_calls(name) == ()


def test_sqlites_values_have_no_names(observed_sqlite: Engine, recorder: Kept) -> None:
    """They are known all the same, and none where one of them is secret."""
    metadata.create_all(observed_sqlite)
    run(observed_sqlite, named("Ann"))
    (call,) = newest(recorder)
    assert call.values == ("Ann",)
    both = select(people.c.id).where(people.c.name == "Ann", people.c.secret == "x")
    run(observed_sqlite, both)
    (call,) = newest(recorder)
    assert (call.values, call.withheld) == ({}, ("*",))
