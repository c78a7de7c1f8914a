import json

import pytest
from sqlalchemy import Engine, String, column, select, table, text

from backoffice.database.session import Place, Work, working
from backoffice.observability.findings import findings_of
from backoffice.observability.request_log import (
    KEPT,
    Budget,
    PastRequest,
    RequestLog,
    observe_request,
    parameters_hash,
)


def test_repeats_are_folded(observed: Engine) -> None:
    """Statements that differ in their values only are one line with a count."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        for number in range(3):
            connection.execute(text("SELECT :n"), {"n": number}).all()
        connection.execute(text("SELECT now()")).all()
    first, second = log.folded()
    assert (first.repeats, first.duplicates, first.rows) == (3, 0, 3)
    assert (second.repeats, second.text) == (1, "SELECT now()")


def test_equal_parameters_are_duplicates(observed: Engine) -> None:
    """The same question asked again in one request is counted."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        for number in (1, 2, 1, 1):
            connection.execute(text("SELECT :n"), {"n": number}).all()
    (statement,) = log.folded()
    assert (statement.repeats, statement.duplicates, log.duplicates) == (4, 2, 2)


def test_a_question_after_a_change_is_another(observed: Engine) -> None:
    """What is read before and after an update may differ: it is no duplicate."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        for _ in range(2):
            connection.execute(text("SELECT :n"), {"n": 1}).all()
            connection.execute(text("CREATE TEMPORARY TABLE IF NOT EXISTS x (n int)"))
    assert log.duplicates == 0


def test_the_parts_add_up_to_the_total(observed: Engine) -> None:
    """Wait, execution, fetching, commit and the rest are the whole request."""
    with observe_request(RequestLog()) as log, observed.begin() as connection:
        connection.execute(text("SELECT pg_sleep(0.02)")).all()
    split = log.split()
    parts = split.wait + split.execute + split.fetch + split.commit + split.render
    assert parts == pytest.approx(split.total)
    assert split.execute >= 20


def test_the_header_names_its_parts(observed: Engine) -> None:
    """`Server-Timing` has every part with a duration in milliseconds."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        connection.execute(text("SELECT 1")).all()
    names = [part.split(";dur=")[0] for part in log.split().server_timing().split(", ")]
    assert names == ["wait", "exec", "fetch", "commit", "render", "total"]


def test_a_request_knows_only_its_own_statements(observed: Engine) -> None:
    """What ran before and after a request is not in its log."""
    with observed.connect() as connection:
        connection.execute(text("SELECT 1")).all()
        with observe_request(RequestLog()) as log:
            connection.execute(text("SELECT 2")).all()
        connection.execute(text("SELECT 3")).all()
    assert log.number == 1


def test_a_request_takes_its_view_from_its_first_statement(observed: Engine) -> None:
    """A log that was not told its view learns it from the work done in it."""
    with (
        observe_request(RequestLog()) as log,
        working(Work(Place("student", "list"))),
        observed.connect() as connection,
    ):
        connection.execute(text("SELECT 1")).all()
    assert (log.view, log.action) == ("student", "list")


def test_kept_statements_are_bounded(observed: Engine) -> None:
    """A request of very many different statements keeps some and counts all."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        for number in range(KEPT + 5):
            connection.execute(text(f"SELECT 1 AS a{number}")).all()
    assert (len(log.folded()), log.number, log.dropped) == (KEPT, KEPT + 5, 5)


def test_a_thousand_equal_ones_ran_a_thousand_times(observed: Engine) -> None:
    """What repeats is counted, however often, and with all of its time."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        for number in range(1_000):
            connection.execute(text("SELECT :n"), {"n": number}).all()
    (statement,) = log.folded()
    assert (statement.repeats, statement.rows) == (1_000, 1_000)


def test_values_in_the_text_make_another_question(observed: Engine) -> None:
    """Literals are left out of the fingerprint; they are no equal parameters."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        for number in range(3):
            connection.execute(text(f"SELECT {number} AS a")).all()
        connection.exec_driver_sql("SELECT 2 AS a").all()
    (statement,) = log.folded()
    assert (statement.repeats, statement.duplicates) == (4, 1)


def test_a_page_over_its_time_would_save_what_is_over(observed: Engine) -> None:
    """So it ranks with all that can be saved, and not last."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        log.budget = Budget(max_ms=5)
        connection.execute(text("SELECT pg_sleep(0.05)")).all()
    (finding,) = findings_of(log)
    assert finding.saved_ms >= 45


def test_a_request_goes_into_a_file_and_back(observed: Engine) -> None:
    """What another process shows of it is what this one knows."""
    log = RequestLog(request_id="r1")
    with observe_request(log), observed.connect() as connection:
        connection.execute(text("SELECT :n"), {"n": 1}).all()
    past = log.past()
    assert PastRequest.from_json(json.loads(json.dumps(past.to_json()))) == past


def test_a_budget_is_kept(observed: Engine) -> None:
    """As many statements as were declared are within the budget."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        log.budget = Budget(max_statements=1, max_ms=60_000)
        connection.execute(text("SELECT 1")).all()
    assert log.over_budget() is None


def test_over_budget_says_by_how_much(observed: Engine) -> None:
    """One statement too many is named with what was declared."""
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        log.budget = Budget(max_statements=1)
        connection.execute(text("SELECT 1")).all()
        connection.execute(text("SELECT 2")).all()
    over = log.over_budget()
    assert over is not None
    assert over.text == "2 statements, 1 declared"


def test_values_go_with_the_request(observed: Engine) -> None:
    """They are known until it ends, and no statement of it shows them even then."""
    names = table("pg_class", column("relname", String))
    statement = select(names.c.relname).where(names.c.relname == "canary-4711")
    with observe_request(RequestLog()) as log, observed.connect() as connection:
        connection.execute(statement).all()
        assert "canary-4711" in repr(log.calls)
    assert log.calls == {}
    assert "canary" not in repr(log.folded())


def test_values_that_cannot_be_hashed_are_compared(observed: Engine) -> None:
    """Equal lists are equal parameters, other lists are not."""
    assert parameters_hash({"a": [1]}) == parameters_hash({"a": [1]})
    assert parameters_hash({"a": [1]}) != parameters_hash({"a": [2]})
