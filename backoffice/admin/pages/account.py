"""One's own account: password, and where one is logged in."""

from backoffice.admin.call import Call, Page, Redirect, Reply, address
from backoffice.admin.frame import frame
from backoffice.admin.presentation import (
    AccountView,
    Cell,
    Control,
    Fact,
    FieldProblem,
    FieldView,
    Message,
    SessionRow,
)
from backoffice.admin.words import moment
from backoffice.audit.recorder import add_entry
from backoffice.auth.models import User
from backoffice.auth.permissions import ROLE_WORDS, Role
from backoffice.auth.sessions import (
    OpenSession,
    close_other_sessions,
    sessions_of,
)
from backoffice.auth.users import change_password, end_session
from backoffice.errors import Refused

FIELDS = (
    ("old", "Present password", "current-password"),
    ("new", "New password", "new-password"),
    ("again", "New password again", "new-password"),
)
HINT = "At least 10 characters. Your other sessions end when you change it."


def show(call: Call) -> Reply:
    """The account page."""
    return page(call, {})


def close(call: Call) -> Reply:
    """End one of one's own sessions."""
    here = address(call.site.base_url, "account")
    me = call.login.user_id
    ended = end_session(call.session, me, me, call.posted("session") or "")
    text = "The session has ended." if ended else "It had ended already."
    return Redirect(here, Message("ok", text))


def close_others(call: Call) -> Reply:
    """End all of one's own sessions but this one."""
    count = close_other_sessions(
        call.session, call.login.user_id, keep=call.login.session_id
    )
    if count:
        add_entry(
            call.session,
            action="sessions_ended",
            table_name=User.__tablename__,
            key=str(call.login.user_id),
            label=call.login.name,
        )
    text = "1 other session has" if count == 1 else f"{count} other sessions have"
    return Redirect(
        address(call.site.base_url, "account"), Message("ok", f"{text} ended.")
    )


def change(call: Call) -> Reply:
    """Set a new password when the old one is right and both new ones are the same."""
    here = address(call.site.base_url, "account")
    new = call.posted("new") or ""
    if new != (call.posted("again") or ""):
        return page(call, {"again": "The two new passwords are not the same."}, 400)
    try:
        change_password(
            call.session,
            call.login.user_id,
            old=call.posted("old") or "",
            new=new,
            keep_session=call.login.session_id,
        )
    except Refused as refused:
        return page(call, refused.fields, 400)
    return Redirect(
        here, Message("ok", "Your password is changed. Your other sessions have ended.")
    )


def page(call: Call, errors: dict[str, str], status: int = 200) -> Page:
    """The account page with what was wrong."""
    login = call.login
    here = address(call.site.base_url, "account")
    view = AccountView(
        facts=(
            Fact("Name", Cell(login.name)),
            Fact("E-mail", Cell(login.email)),
            Fact("Role", Cell(f"{login.role}: {ROLE_WORDS[Role(login.role)]}")),
        ),
        password_url=here,
        password_fields=tuple(
            FieldView(
                name,
                label,
                Control.PASSWORD,
                is_required=True,
                error=errors.get(name, ""),
                autocomplete=autocomplete,
            )
            for name, label, autocomplete in FIELDS
        ),
        password_hint=HINT,
        summary="The password is not changed." if errors else "",
        problems=tuple(
            FieldProblem(label, errors[name], f"f-{name}")
            for name, label, _ in FIELDS
            if name in errors
        ),
        sessions=tuple(
            session_row(one, login.session_id)
            for one in sessions_of(call.session, login.user_id)
        ),
        close_url=f"{here}/close",
        close_others_url=f"{here}/close-others",
    )
    title = "Error: my account" if errors else "My account"
    return Page(
        "account",
        view,
        frame(call, title=title, heading="My account", width="mid"),
        status,
    )


def session_row(one: OpenSession, current: str) -> SessionRow:
    """A session as the person knows it."""
    return SessionRow(
        id=one.session_id,
        place=", ".join(filter(None, (browser_of(one.user_agent), one.ip))),
        opened=moment(one.created_at, with_time=True),
        seen=moment(one.last_seen_at, with_time=True),
        is_current=one.session_id == current,
    )


def browser_of(agent: str) -> str:
    """As in "Firefox on Linux" from what the browser says of itself."""
    names = (("Edg/", "Edge"), ("Chrome/", "Chrome"), ("Firefox/", "Firefox"))
    systems = (
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    )
    name = next((label for mark, label in names if mark in agent), "")
    if not name and "Safari/" in agent:
        name = "Safari"
    system = next((label for mark, label in systems if mark in agent), "")
    if not name:
        return agent[:40] or "Unknown browser"
    return f"{name} on {system}" if system else name
