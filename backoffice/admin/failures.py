"""What went wrong, in words for the person whose request it was."""

import traceback
from dataclasses import dataclass, field, replace

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request

from backoffice.admin.presentation import Action, ErrorView
from backoffice.auth.permissions import Role, roles_that_may
from backoffice.errors import (
    BackofficeError,
    DatabaseUnavailable,
    EnvironmentProblem,
    LockNotAvailable,
    NotPermitted,
    OutcomeUnknown,
    RecordNotFound,
    Refused,
    StatementTimedOut,
)
from backoffice.observability.request_id import current_request_id

NOTHING_CHANGED = "Nothing was changed."
NOT_KNOWN = (
    "Whether it was saved is not known: look before you do it again. "
    "It is there as a whole, or not at all."
)


class NotFound(BackofficeError):
    """There is nothing at this address, or not for this person."""


class TokenMissing(BackofficeError):
    """A change without the token of the form it should come from."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure as a page: status, heading, what happened, what to do."""

    status: int
    heading: str
    text: str
    kept: str = ""
    actions: tuple[Action, ...] = ()
    is_fault: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    # The same form, sent once more, would be as good as the first time.
    can_send_again: bool = False

    def view(self) -> ErrorView:
        """What the error page draws; a request number only where it helps."""
        request = current_request_id() if self.is_fault else ""
        return ErrorView(self.text, self.kept, self.actions, (), request)


def problem_of(error: Exception, request: Request, limit: float = 0) -> Problem:
    """The page for this error; what nobody foresaw becomes a 500 without details.

    `limit` is how many seconds a statement of a page may take.
    """
    is_write = request.method not in {"GET", "HEAD"}
    kept = NOTHING_CHANGED if is_write else ""
    back = (Action("Try again", _here(request)),) if not is_write else ()
    known = _known_problem(error, kept, back)
    if known is not None and known.heading == TOO_SLOW:
        known = slow_words(known, request, limit)
    if known is not None:
        is_login = request.url.path.endswith("/login")
        return with_login_words(known) if is_login else known
    return Problem(
        500,
        "This did not work, and it is not your fault",
        "The server met something that it was not prepared for.",
        kept=NOTHING_CHANGED if is_write else "",
        actions=back,
        is_fault=True,
    )


def _known_problem(  # noqa: PLR0911 - one page for each kind
    error: Exception, kept: str, back: tuple[Action, ...]
) -> Problem | None:
    """The page for an error that has words of its own."""
    sentence = str(error)
    match error:
        case NotFound() | RecordNotFound():
            return Problem(404, "Not found", sentence)
        case NotPermitted():
            return Problem(403, "You may not do this", sentence, kept)
        case TokenMissing():
            return Problem(
                403,
                "This form is too old",
                "It was not sent from a page of this site that is still valid. "
                "Go back, load the page again and send it once more.",
                kept,
            )
        case Refused():
            return Problem(409, "This was refused", sentence, NOTHING_CHANGED)
        case LockNotAvailable():
            return locked(back, kept)
        case EnvironmentProblem():
            return Problem(503, "The server lacks something", sentence, kept, back)
        case StatementTimedOut():
            return too_slow(back, kept)
        case OutcomeUnknown():
            return unavailable(back, NOT_KNOWN if kept else "")
        case DatabaseUnavailable() | PoolTimeout():
            return unavailable(back, kept)
        case HTTPException():
            return _http_problem(error)
        case DBAPIError():
            return _driver_problem(error, kept, back)
    return None


def _driver_problem(
    error: DBAPIError, kept: str, back: tuple[Action, ...]
) -> Problem | None:
    """By SQLSTATE: what the driver says is never shown."""
    state = getattr(error.orig, "sqlstate", None) or ""
    if state == "57014":
        return too_slow(back, kept)
    if state in {"55P03", "40001", "40P01"} or _is_held_file(error):
        return locked(back, kept)
    if state in _STATES:
        heading, text, is_fault = _STATES[state]
        return Problem(503, heading, text, kept, back, is_fault=is_fault)
    unreachable = error.connection_invalidated or state[:2] in {"08", "57"}
    if unreachable or _could_not_connect(error):
        return unavailable(back, kept)
    if state == "53100":
        return Problem(
            503,
            "The database's disk is full",
            "Nothing can be written until an operator makes room. "
            "What is there can still be read.",
            NOTHING_CHANGED,
            is_fault=True,
            headers={"Retry-After": "60"},
        )
    if state[:2] == "22":
        return Problem(
            400, "That is no value for this", "A value does not fit its column.", kept
        )
    return None


def _is_held_file(error: DBAPIError) -> bool:
    """Whether somebody else wrote into SQLite's file as long as one waits."""
    return getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")


_NOT_READY = (
    "The database is not ready",
    "A table or column is missing. An operator should run manage.py migrate.",
    True,
)
_STATES = {
    "42P01": _NOT_READY,
    "42703": _NOT_READY,
    "25006": (
        "The database takes no changes at present",
        (
            "It can be read only: it is a replica, or an operator has made it so. "
            "Whoever is logged in can go on reading."
        ),
        False,
    ),
    "42501": (
        "The database does not allow this",
        (
            "The site's role in the database has no right to it. An operator can grant "
            "it; the server's log says which."
        ),
        True,
    ),
}


def _could_not_connect(error: DBAPIError) -> bool:
    """An OperationalError without SQLSTATE is what a failed connection raises.

    One that came too late (ConnectionTimeout) is one as well.
    """
    state = getattr(error.orig, "sqlstate", None)
    is_driver = isinstance(error.orig, psycopg.OperationalError)
    return not state and (is_driver or type(error.orig).__name__ == "OperationalError")


TOO_SLOW = "This took too long and was stopped"
UNREACHABLE = "The database cannot be reached"


def too_slow(back: tuple[Action, ...], kept: str) -> Problem:
    """The page for a statement that ran into its limit; `slow_words` says of what."""
    return Problem(503, TOO_SLOW, "", kept, back, headers={"Retry-After": "10"})


def slow_words(problem: Problem, request: Request, limit: float) -> Problem:
    """What was too slow at this address, and how to ask for less."""
    within = f"within {limit:g} seconds" if limit else "in time"
    target, query = request.url.path, request.query_params
    if problem.kept:
        text = (
            f"The database did not get this done {within}. Try again in a moment; "
            "if it stays so, do less at a time, or tell an operator."
        )
        return replace(problem, text=text)
    if not target.endswith("/list"):
        text = (
            f"The database did not read what this page shows {within}. Try again in a "
            "moment; if it stays so, tell an operator."
        )
        return replace(problem, text=text)
    ways: list[str] = []
    asked: list[str] = []
    plain = {"search", "sortBy", "sort", "page", "pageSize", "after", "before"}
    if query.get("search"):
        asked.append("the search")
        ways.append("search for a whole word or a code")
    if any(name not in plain for name in query):
        asked.append("the filters")
        ways.append("filter by a column that has an index, or by fewer values")
    else:
        ways.append("add a filter")
    if query.get("sortBy"):
        asked.append("the order")
        ways.append("leave the order out")
    if query.get("page", "1") != "1":
        asked.append("the page number")
        ways.append("go on page by page")
    of = f": {_listed(asked)} took too long" if asked else ""
    text = (
        f"The database did not find the rows of this list {within}{of}. "
        f"To narrow it, {', or '.join(ways)}."
    )
    actions = problem.actions
    if asked:
        actions = (*actions, Action("The list without these", target))
    return replace(problem, text=text, actions=actions)


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def locked(back: tuple[Action, ...], kept: str) -> Problem:
    """The page for what another transaction holds."""
    if kept:
        return Problem(
            409,
            "Somebody else is writing here",
            "Another transaction holds this record. Try again in a moment.",
            kept,
            back,
        )
    return Problem(
        503,
        "This is locked at the moment",
        "A table is being changed as a whole, by a migration or an operator; until "
        "then it cannot be read. Try again in a moment.",
        actions=back,
        headers={"Retry-After": "5"},
    )


def with_login_words(problem: Problem) -> Problem:
    """What a full pool means for who is not logged in, ops on their way included."""
    if problem.status != 503:  # noqa: PLR2004
        return problem
    text = (
        f"{problem.text} Logging in needs a connection, too; whoever is logged in "
        "already can open the metrics now."
    )
    return replace(problem, text=text)


def unavailable(back: tuple[Action, ...], kept: str) -> Problem:
    """The page for a database that gives no connection."""
    return Problem(
        503,
        UNREACHABLE,
        "It does not answer, or all of its connections are in use. "
        "What you see now is only this page; try again in a moment.",
        kept,
        back,
        is_fault=True,
        headers={"Retry-After": "5"},
        can_send_again=kept == NOTHING_CHANGED,
    )


def _http_problem(error: HTTPException) -> Problem:
    """What Starlette raises: too many fields, a broken body."""
    headings = {404: "Not found", 403: "You may not do this", 405: "Not this way"}
    # Starlette's own words for it are those of the protocol.
    texts = {405: "This address does not take what was sent. Nothing was changed."}
    return Problem(
        error.status_code,
        headings.get(error.status_code, "This request cannot be answered"),
        texts.get(error.status_code, str(error.detail)),
        headers=dict(error.headers or {}),
    )


def for_log(error: BaseException) -> str:
    """Where an error came from and of what kind it is, without anybody's values.

    What a driver says holds values of rows ("Key (email)=(…) already exists"): of its
    errors only kind, SQLSTATE and statement are told. Where the database is away every
    request fails alike, at no place of its own: a line is enough.
    """
    known = _known_problem(error, "", ()) if isinstance(error, Exception) else None
    if known is not None and known.heading == UNREACHABLE:
        return f"{UNREACHABLE}: {_kind_for_log(error)}"
    lines = []
    seen: BaseException | None = error
    while seen is not None:
        stack = "".join(traceback.format_tb(seen.__traceback__))
        lines.append(f"{_kind_for_log(seen)}\n{stack}")
        seen = seen.__cause__ or (
            None if seen.__suppress_context__ else seen.__context__
        )
    return "\ncaused by ".join(lines)


def _kind_for_log(error: BaseException) -> str:
    """An error's class, and its text where that cannot hold a row's values."""
    name = type(error).__name__
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
        return (
            f"{name} ({type(error.orig).__name__}, SQLSTATE {state}) {error.statement}"
        )
    if type(error).__module__.partition(".")[0] in {"psycopg", "sqlite3"}:
        return f"{name}, SQLSTATE {getattr(error, 'sqlstate', None)}"
    return f"{name}: {error}"


# What a view itself can rule out, for everybody.
RULED_OUT = {"create": "created", "edit": "changed", "delete": "deleted"}


def right_sentence(role: str, action: str, view: object) -> str:
    """Who one is, what is missing, and who can change that."""
    name = str(getattr(view, "name_plural", "this"))
    if action in RULED_OUT and not getattr(view, f"can_{action}", True):
        return f"{name} cannot be {RULED_OUT[action]} here, whatever one's role is."
    article = "an " if role[:1] in "aeiou" else "a "
    who = role if role == Role.OPS else article + role
    able = roles_that_may(action, str(getattr(view, "identity", "")))
    if not able or role in able:
        return (
            f"You are {who}; {name} cannot be reached that way. "
            "An administrator can tell you why."
        )
    does = "changing" if action in RULED_OUT else "seeing"
    # The least that is enough.
    return (
        f"You are {who}; {does} {name} needs the role {able[-1]}. "
        "An administrator can give it to you."
    )


def _here(request: Request) -> str:
    """This address again."""
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")
