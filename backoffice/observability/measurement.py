"""What is measured of one statement."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import psycopg

from backoffice.database.session import Work
from backoffice.observability.fingerprints import Fingerprint


class Outcome(StrEnum):
    """How a statement ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"


@dataclass(slots=True, eq=False)
class Measurement:
    """One statement: where its time went, what came of it, whose work it was.

    Times are nanoseconds. `wait` is the wait for the connection, counted with the
    first statement after it; `fetch` runs until the last row is read; a commit is a
    statement of its own, with all its time in `commit`.
    """

    fingerprint: Fingerprint
    work: Work | None
    at: float
    started: int
    wait: int = 0
    execute: int = 0
    fetch: int = 0
    commit: int = 0
    rows: int = -1
    error: str = ""
    outcome: Outcome = Outcome.DONE
    # Tells equal parameters from others within one request; holds no value.
    parameters: int | None = None
    # Tried only, and rolled back: what the database refuses there is no failure.
    is_trial: bool = False
    counts_rows: bool = False
    # SQLAlchemy's, with the values, until the statement has ended; then None.
    context: Any = field(default=None, repr=False)
    executed: bool = field(default=False, repr=False)
    recorded: bool = field(default=False, repr=False)

    @property
    def total(self) -> int:
        """All of its time, the wait included."""
        return self.wait + self.execute + self.fetch + self.commit

    @property
    def view(self) -> str:
        """The view's identity, or what else ran it; empty when nobody said."""
        return self.work.place.view if self.work is not None else ""

    @property
    def action(self) -> str:
        """What the view did: list, edit, an action's name."""
        return self.work.place.action if self.work is not None else ""

    @property
    def request_id(self) -> str:
        """The request it belongs to; empty outside of requests."""
        return self.work.request_id if self.work is not None else ""

    def fail(self, error: BaseException) -> None:
        """Remember the error by its code, never by its text: texts hold values."""
        if self.is_trial:
            return
        self.error = error_code(error)
        self.outcome = outcome_of(error)


# SQLSTATEs of limits that ran out; 57014 is a limit or a person, its text says which.
_TIMEOUTS = {"55P03", "25P03", "25P04"}
CANCELLED = "57014"


# What libpq says without a code where it has no connection, or not any more. The words
# of the server are English unless it was set up otherwise: then the general code stays.
CONNECTION_LOST, NOT_CONNECTED = "08006", "08001"
_REFUSALS = (
    ("53300", re.compile("too many clients|remaining connection slots|too many conn")),
    ("57P03", re.compile("the database system is")),
    ("28P01", re.compile("password authentication failed")),
    ("28000", re.compile("no pg_hba.conf entry|role .* (does not exist|is not perm)")),
    ("3D000", re.compile("database .* does not exist")),
)


def error_code(error: BaseException) -> str:
    """The SQLSTATE, SQLite's name for it, or the exception's own name."""
    found: Any = getattr(error, "sqlstate", None) or getattr(
        error, "sqlite_errorname", None
    )
    if found is None and type(error) is psycopg.OperationalError:
        return CONNECTION_LOST
    return str(found) if found else type(error).__name__


def connect_error_code(error: BaseException) -> str:
    """The same of a connection that the server did not give."""
    found = error_code(error)
    if found != CONNECTION_LOST:
        return found
    said = str(error)
    known = (code for code, words in _REFUSALS if words.search(said))
    return next(known, NOT_CONNECTED)


def outcome_of(error: BaseException) -> Outcome:
    """Whether an error is a limit that ran out, a cancellation, or a failure."""
    code = error_code(error)
    if code in _TIMEOUTS or isinstance(error, psycopg.errors.ConnectionTimeout):
        return Outcome.TIMED_OUT
    if code == CANCELLED:
        # The server gives both the same code; only its English text tells them apart.
        is_limit = "timeout" in str(error).lower()
        return Outcome.TIMED_OUT if is_limit else Outcome.CANCELLED
    if code == "SQLITE_INTERRUPT":
        return Outcome.CANCELLED
    return Outcome.FAILED
