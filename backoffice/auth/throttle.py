"""How many tries has somebody left? Failed logins, counted for all processes.

A try is counted before the password is looked at, so that many at once cannot slip
through, and taken back when it was right. Counted are an address from one network, and
all addresses together from that network; counting an address from everywhere would let
anybody lock anybody out.
"""

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, delete, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backoffice.auth.clock import as_utc
from backoffice.auth.models import EMAIL_LENGTH, LoginAttempt
from backoffice.auth.printable import printable

TRIES = 5
# An office behind one address has many people, and some of them mistype.
TRIES_OF_NETWORK = 30
WAIT = timedelta(minutes=5)
KEEP = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Try:
    """One try to log in: whether it may be made, and what is left when it fails."""

    is_allowed: bool
    left: int
    wait_seconds: int  # until the next try, when this one fails or is not allowed

    @property
    def sentence(self) -> str:
        """What to tell who failed, or who was not allowed to try."""
        wait = minutes_in_words(self.wait_seconds)
        if not self.is_allowed:
            return f"Too many logins have failed. Wait {wait}, then log in again."
        if self.left == 0:
            return (
                "E-mail and password do not match. "
                f"No try is left: wait {wait}, then log in again."
            )
        tries = "1 try is" if self.left == 1 else f"{self.left} tries are"
        return (
            "E-mail and password do not match. "
            f"{tries} left, then you wait {minutes_in_words(WAIT.total_seconds())}."
        )


def take_try(session: Session, email: str, ip: str, now: datetime) -> Try:
    """Count a try in one statement; commit before the password is looked at."""
    counted = session.execute(_count(session, email, ip, now)).all()
    left, wait, is_allowed = TRIES, 0, True
    for row in counted:
        limit = TRIES if row.email else TRIES_OF_NETWORK
        left = min(left, max(0, limit - row.failures))
        is_allowed = is_allowed and row.failures <= limit
        if row.blocked_until is not None:
            seconds = (as_utc(row.blocked_until) - now).total_seconds()
            wait = max(wait, math.ceil(seconds))
    return Try(is_allowed, left, wait)


def forgive(session: Session, email: str, ip: str, now: datetime) -> None:
    """The password was right: this try and the failures before it do not count."""
    network = network_of(ip)
    email = attempt_email(email)
    session.execute(
        delete(LoginAttempt).where(
            or_(
                and_(LoginAttempt.email == email, LoginAttempt.network == network),
                LoginAttempt.last_at < now - KEEP,
            )
        )
    )
    reached = LoginAttempt.failures == TRIES_OF_NETWORK
    session.execute(
        update(LoginAttempt)
        .where(
            LoginAttempt.email == "",
            LoginAttempt.network == network,
            LoginAttempt.failures > 0,
        )
        .values(
            failures=LoginAttempt.failures - 1,
            # This very try may have been the one that reached the limit.
            blocked_until=case((reached, None), else_=LoginAttempt.blocked_until),
        )
    )


def network_of(ip: str) -> str:
    """What one person can be assumed to hold: an IPv4 address, or a /64 of IPv6."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def attempt_email(email: str) -> str:
    """The address as failures of it are counted; never the empty one."""
    return printable(email.strip().casefold(), EMAIL_LENGTH) or "?"


def minutes_in_words(seconds: float) -> str:
    """A wait, rounded up: "1 minute", "5 minutes"."""
    minutes = max(1, math.ceil(seconds / 60))
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def _count(session: Session, email: str, ip: str, now: datetime) -> Any:
    """Insert or raise both counters; PostgreSQL and SQLite say it alike."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert if is_postgresql else sqlite.insert
    network = network_of(ip)
    # The network's row is always locked first: no two tries wait for each other.
    rows = [
        {"email": key, "network": network, "failures": 1, "last_at": now}
        for key in ("", attempt_email(email))
    ]
    statement = insert(LoginAttempt).values(rows)
    failures, until = LoginAttempt.failures, LoginAttempt.blocked_until
    is_over = or_(
        until <= now, and_(until.is_(None), LoginAttempt.last_at <= now - WAIT)
    )
    limit = case((LoginAttempt.email == "", TRIES_OF_NETWORK), else_=TRIES)
    return statement.on_conflict_do_update(
        index_elements=[LoginAttempt.email, LoginAttempt.network],
        set_={
            "failures": case((is_over, 1), else_=failures + 1),
            "last_at": now,
            "blocked_until": case(
                (is_over, None), (failures + 1 == limit, now + WAIT), else_=until
            ),
        },
    ).returning(LoginAttempt.email, failures, until)
