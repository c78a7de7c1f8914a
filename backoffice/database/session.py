"""One unit of work: a session, who acts in it, and what it is done for."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from backoffice.errors import OutcomeUnknown

ACTOR = "actor"
PLACE = "place"
REQUEST_ID = "request_id"
# The run of an action that the session works for; absent otherwise.
RUN_ID = "run_id"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is acting: a user of the site, or a command run by an operator."""

    id: str | None
    label: str


@dataclass(frozen=True, slots=True)
class Place:
    """What a statement is done for: `student` and `list`, or `command` and `seed`."""

    view: str
    action: str


@dataclass(frozen=True, slots=True)
class Work:
    """What a statement is attributed to: who acts, for what, in which request."""

    place: Place
    actor: Actor | None = None
    request_id: str = ""


# For statements that know no session: Core, raw connections, a pool that is full.
current_work: ContextVar[Work | None] = ContextVar("current_work", default=None)


# What runs now is only tried, and rolled back: that it is refused is an answer.
is_trial: ContextVar[bool] = ContextVar("is_trial", default=False)


@contextmanager
def trying() -> Iterator[None]:
    """Let what runs meanwhile count as tried: its refusals are no failures."""
    token = is_trial.set(True)
    try:
        yield
    finally:
        is_trial.reset(token)


@contextmanager
def working(work: Work) -> Iterator[None]:
    """Attribute every statement of this context to `work`."""
    token = current_work.set(work)
    try:
        yield
    finally:
        # A streaming answer may end in another context than it began in.
        with suppress(ValueError):
            current_work.reset(token)


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Sessions whose objects stay readable after the transaction has ended."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def unit_of_work(
    sessions: sessionmaker[Session],
    *,
    actor: Actor | None,
    place: Place,
    request_id: str = "",
    read_only: bool = False,
) -> Iterator[Session]:
    """One session and at most one transaction: committed at the end, or nothing.

    The actor, place and request id travel on `session.info`, where `audit` and
    `observability` read them. `read_only` makes PostgreSQL refuse every write, and all
    that is read be of one moment.

    Raises:
        OutcomeUnknown: the connection was lost during the commit.
    """
    with working(Work(place, actor, request_id)), sessions() as session:
        session.info.update({ACTOR: actor, PLACE: place, REQUEST_ID: request_id})
        if read_only and session.get_bind().dialect.name == "postgresql":
            # Both travel with BEGIN: they cost no statement.
            session.connection(
                execution_options={
                    "postgresql_readonly": True,
                    "isolation_level": "REPEATABLE READ",
                }
            )
        yield session
        if read_only:
            session.commit()
        else:
            commit(session)


def commit(session: Session) -> None:
    """Commit; of a connection that is lost meanwhile nobody says "nothing was changed".

    Raises:
        OutcomeUnknown: the database was asked to commit and did not answer.
    """
    # What is still to be written is written first: lost there, all of it is undone.
    session.flush()
    try:
        session.commit()
    except DBAPIError as error:
        # COMMIT alone is sent without a statement of ours.
        if error.connection_invalidated and error.statement is None:
            raise OutcomeUnknown(
                "The connection to the database was lost while this was committed. "
                "Whether it was done is not known: look before you do it again."
            ) from error
        raise


def limit_statements(session: Session, *, statement: float, lock: float) -> None:
    """Let this transaction's statements run `statement` s and wait `lock` s, at most.

    Zero is no limit. Only PostgreSQL has such limits; elsewhere nothing happens.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    session.execute(
        text(
            "SELECT set_config('statement_timeout', :statement, true),"
            " set_config('lock_timeout', :lock, true)"
        ),
        {"statement": f"{int(statement * 1000)}", "lock": f"{int(lock * 1000)}"},
    )


def begin_writing(session: Session) -> None:
    """Begin a transaction that is sure to write, before it reads.

    On SQLite one writes at a time: who has read before may find that too late.
    """
    if session.get_bind().dialect.name == "sqlite":
        session.connection(execution_options={"sqlite_begin": "IMMEDIATE"})
