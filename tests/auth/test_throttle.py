"""Tests of how failed logins are counted."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from backoffice.auth.models import LoginAttempt
from backoffice.auth.throttle import (
    TRIES,
    TRIES_OF_NETWORK,
    WAIT,
    Try,
    forgive,
    network_of,
    take_try,
)

NOW = datetime(2031, 3, 1, 12, 0, tzinfo=UTC)
HOME = "192.0.2.7"


def tries(
    db: Session, number: int, email: str = "a@example.org", ip: str = HOME
) -> Try:
    """The last of so many tries."""
    for _ in range(number):
        last = take_try(db, email, ip, NOW)
    db.commit()
    return last


def test_a_failed_try_says_how_many_are_left(db: Session) -> None:
    """After two failures three tries are left, and the sentence says so."""
    assert tries(db, 2).sentence == (
        "E-mail and password do not match. 3 tries are left, then you wait 5 minutes."
    )


def test_the_last_try_but_one_is_counted_in_the_singular(db: Session) -> None:
    """Where one try is left the sentence is still English."""
    assert "1 try is left, then" in tries(db, 4).sentence


def test_the_fifth_failure_begins_the_wait(db: Session) -> None:
    """The fifth try is made; when it fails, five minutes pass before the next."""
    fifth = tries(db, TRIES)
    assert (fifth.is_allowed, fifth.left, fifth.wait_seconds) == (True, 0, 300)


def test_a_sixth_try_is_not_made(db: Session) -> None:
    """While one waits no try is made, and the sentence says how long."""
    sixth = tries(db, TRIES + 1)
    assert not sixth.is_allowed
    assert sixth.sentence == (
        "Too many logins have failed. Wait 5 minutes, then log in again."
    )


def test_trying_while_waiting_does_not_lengthen_the_wait(db: Session) -> None:
    """Who tries on all the time may try again when the five minutes are over."""
    tries(db, TRIES)
    take_try(db, "a@example.org", HOME, NOW + timedelta(minutes=4))
    after = take_try(db, "a@example.org", HOME, NOW + WAIT)
    assert (after.is_allowed, after.left) == (True, TRIES - 1)


def test_failures_are_forgotten_after_the_wait(db: Session) -> None:
    """Four failures of this morning leave five tries for now, less this one."""
    tries(db, TRIES - 1)
    later = take_try(db, "a@example.org", HOME, NOW + timedelta(hours=4))
    assert later.left == TRIES - 1


def test_the_right_password_forgives_earlier_failures(db: Session) -> None:
    """After a login all tries are there again, for the address and the network."""
    tries(db, TRIES - 1)
    forgive(db, "a@example.org", HOME, NOW)
    assert tries(db, 1).left == TRIES - 1


def test_another_address_is_not_concerned(db: Session) -> None:
    """Failures of one address do not lock another out."""
    tries(db, TRIES + 1)
    assert tries(db, 1, email="b@example.org").is_allowed


def test_nobody_is_locked_out_from_elsewhere(db: Session) -> None:
    """Failures from one network do not lock the person out of another."""
    tries(db, TRIES + 1)
    assert tries(db, 1, ip="198.51.100.4").is_allowed


def test_the_case_of_the_address_does_not_matter(db: Session) -> None:
    """Writing the address differently gives no further tries."""
    tries(db, TRIES, email="a@example.org")
    assert not tries(db, 1, email=" A@Example.ORG").is_allowed


def test_trying_many_addresses_uses_the_networks_tries_up(db: Session) -> None:
    """One password tried on everybody ends at the network's limit."""
    for number in range(TRIES_OF_NETWORK):
        assert take_try(db, f"p{number}@example.org", HOME, NOW).is_allowed
    assert not take_try(db, "fresh@example.org", HOME, NOW).is_allowed


def test_logins_that_succeed_do_not_use_the_network_up(db: Session) -> None:
    """An office of many people behind one address can log in all morning."""
    for number in range(TRIES_OF_NETWORK * 2):
        email = f"p{number}@example.org"
        assert take_try(db, email, HOME, NOW).is_allowed
        forgive(db, email, HOME, NOW)


def test_old_rows_are_deleted_in_passing(db: Session) -> None:
    """What was counted days ago does not stay in the table."""
    tries(db, 1, email="old@example.org", ip="203.0.113.9")
    later = NOW + timedelta(days=2)
    take_try(db, "a@example.org", HOME, later)
    forgive(db, "a@example.org", HOME, later)
    db.commit()
    networks = db.scalars(select(LoginAttempt.network)).all()
    assert networks == [HOME]


@pytest.mark.parametrize("email", ["", "\x00", "x" * 10_000, "\ud800@example.org"])
def test_nonsense_is_counted_like_an_address(db: Session, email: str) -> None:
    """An address that is none is counted, and is no error."""
    assert tries(db, 1, email=email).left == TRIES - 1


def test_no_number_of_tries_at_once_gets_around_the_count(accounts: Engine) -> None:
    """Of twenty tries at the same moment five are allowed."""

    def one(_number: int) -> bool:
        with Session(accounts) as session:
            allowed = take_try(session, "a@example.org", HOME, NOW).is_allowed
            session.commit()
            return allowed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(20))) == TRIES


def test_counting_takes_one_statement(accounts: Engine) -> None:
    """Both counters are raised together, in two rows."""
    with Session(accounts) as session:
        take_try(session, "a@example.org", HOME, NOW)
        assert session.scalar(select(func.count()).select_from(LoginAttempt)) == 2


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_network_is_what_one_person_can_hold(ip: str, network: str) -> None:
    """IPv4 counts by address, IPv6 by its /64."""
    assert network_of(ip) == network
