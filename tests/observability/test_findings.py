from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text

from backoffice.observability.findings import FindingKind, findings_of
from backoffice.observability.request_log import Budget, RequestLog, observe_request


@pytest.fixture
def link(observed: Engine) -> Iterator[Connection]:
    """A connection to a database with one table."""
    with observed.begin() as connection:
        connection.execute(text("CREATE TABLE things (id int)"))
    with observed.connect() as connection:
        yield connection


def test_the_same_question_twice_is_found(link: Connection) -> None:
    """Equal statements with equal parameters are a finding, with what it cost."""
    with observe_request(RequestLog(view="thing", action="list")) as log:
        for _ in range(3):
            link.execute(text("SELECT id FROM things WHERE id = :i"), {"i": 1}).all()
    (finding,) = findings_of(log)
    assert finding.kind is FindingKind.DUPLICATES
    assert finding.text == "Thing list asked the same thing 3 times."
    assert finding.saved_ms > 0


def test_a_limit_set_twice_is_no_question(link: Connection) -> None:
    """What reads no table may be sent as often as it takes."""
    with observe_request(RequestLog()) as log:
        for number in range(12):
            link.execute(text("SELECT set_config('lock_timeout', '3s', true)")).all()
            with link.begin_nested():
                link.execute(
                    text(
                        "SELECT set_config('search_path', :to, true), pg_sleep(0.002)"
                    ),
                    {"to": f"p{number}"},
                ).all()
    assert findings_of(log) == ()


def test_different_questions_are_no_duplicates(link: Connection) -> None:
    """A few lookups of different records are as they should be."""
    with observe_request(RequestLog()) as log:
        for number in range(3):
            link.execute(
                text("SELECT id FROM things WHERE id = :i"), {"i": number}
            ).all()
    assert findings_of(log) == ()


def test_slow_lookups_one_by_one_are_found(link: Connection) -> None:
    """Ten lookups that take time together are a finding, whoever runs them."""
    with observe_request(RequestLog()) as log:
        for number in range(10):
            link.execute(
                text("SELECT pg_sleep(0.003), :i FROM (SELECT 1) AS t"), {"i": number}
            ).all()
            link.execute(text("SELECT id FROM things WHERE id = :i"), {"i": number})
    found = [finding.kind for finding in findings_of(log)]
    assert found == [FindingKind.REPEATS]


def test_over_budget_is_a_finding(link: Connection) -> None:
    """A page over what its view declared says by how much."""
    with observe_request(RequestLog(view="thing", action="list")) as log:
        log.budget = Budget(max_statements=0)
        link.execute(text("SELECT 1")).all()
    (finding,) = findings_of(log)
    assert finding.kind is FindingKind.OVER_BUDGET
    assert "1 statements, 0 declared" in finding.text
