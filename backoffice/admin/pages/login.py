"""Logging in and out, and picking up a form that was sent after the session ended."""

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request

from backoffice.admin.call import Call, Page, Redirect, Reply, address
from backoffice.admin.cookies import SESSION_COOKIE
from backoffice.admin.frame import build_frame, frame
from backoffice.admin.own_names import TOKEN
from backoffice.admin.pages.theme import local_path
from backoffice.admin.presentation import (
    ConfirmView,
    Hidden,
    Link,
    LoginView,
    Message,
)
from backoffice.admin.sending_again import PASSWORDS
from backoffice.auth.login import Client, LoginRefused
from backoffice.auth.login import log_in as open_login
from backoffice.auth.login import log_out as close_login
from backoffice.auth.sessions import find_session, sign_token, unsign_token

if TYPE_CHECKING:
    from backoffice.admin.site import Site

RESUME_SECONDS = 3600
LOGGED_OUT = "You were logged out meanwhile. Log in again; nothing was changed."
TIMED_OUT = (
    "You were logged out meanwhile. Log in again; what you typed is kept, "
    "and you are asked before it is sent."
)


def show(call: Call) -> Reply:
    """The login page; who is logged in already is led on."""
    target = next_path(call.site, call.request.query_params.get("next"))
    if call.is_known:
        return Redirect(target)
    return login_page(call.site, call.request, next_url=target)


def log_in(call: Call) -> Reply:
    """Check e-mail and password, and open a session under a new id."""
    site, request = call.site, call.request
    email = (call.posted("email") or "").strip()
    secret = site.backoffice.secret_key
    outcome = open_login(
        call.session,
        email=email,
        password=call.posted("password") or "",
        client=client_of(request),
        hours=site.backoffice.settings.web.session_hours,
        replaces=unsign_token(secret, request.cookies.get(SESSION_COOKIE)),
    )
    target = next_path(site, call.posted("next"))
    resume = call.posted("resume") or ""
    if isinstance(outcome, LoginRefused):
        return login_page(
            site,
            request,
            email=email,
            refused=outcome,
            next_url=target,
            resume=resume,
        )
    call.cookies[SESSION_COOKIE] = sign_token(secret, outcome.token)
    kept = read_resume(site, resume)
    if kept is None:
        return Redirect(target)
    login = find_session(call.session, outcome.token)
    path, items = kept
    view = ConfirmView(
        url=path,
        text="You are logged in again. What you typed was kept and is not saved yet.",
        button="Send it now",
        cancel=Link("Do not send it", site.base_url + "/"),
        hidden=tuple(Hidden(k, v) for k, v in items if k != TOKEN),
    )
    page_frame = build_frame(
        site,
        request,
        login,
        title="Welcome back",
        heading="Welcome back",
        width="narrow",
    )
    return Page("confirm", view, page_frame)


def confirm_logout(call: Call) -> Reply:
    """Logging out is a button: following a link changes nothing."""
    view = ConfirmView(
        url=address(call.site.base_url, "logout"),
        text=f"You are logged in as {call.login.name}.",
        button="Log out",
        cancel=Link("Stay", call.site.base_url + "/"),
    )
    return Page("confirm", view, frame(call, title="Log out", width="narrow"))


def log_out(call: Call) -> Reply:
    """End the session: its cookie is worth nothing from now on."""
    close_login(call.session, call.login)
    call.cookies[SESSION_COOKIE] = ""
    return Redirect(
        address(call.site.base_url, "login"), Message("ok", "You are logged out.")
    )


def login_page(
    site: "Site",
    request: Request,
    *,
    email: str = "",
    refused: LoginRefused | None = None,
    notice: str = "",
    next_url: str = "",
    resume: str = "",
    status: int = 200,
) -> Page:
    """The login form, which knows where to go on."""
    error, headers = "", {}
    if refused is not None:
        error = refused.sentence
        status = 429 if refused.wait_seconds else 400
    if refused is not None and refused.wait_seconds:
        headers["Retry-After"] = str(refused.wait_seconds)
    home = site.base_url + "/"
    hidden = [Hidden("next", next_url)] if next_url and next_url != home else []
    if resume:
        hidden.append(Hidden("resume", resume))
    view = LoginView(
        url=address(site.base_url, "login"),
        email=email,
        error=error,
        notice=notice,
        next_words=words_of(site, next_url),
        hidden=tuple(hidden),
    )
    return Page(
        "login",
        view,
        build_frame(site, request, None, title="Log in", heading="Log in"),
        status,
        headers,
    )


def resume_page(site: "Site", request: Request, items: list[tuple[str, str]]) -> Page:
    """The login form that carries the form which came too late, without passwords."""
    if request.url.path.startswith(address(site.base_url, "account")):
        items = [item for item in items if item[0] not in PASSWORDS]
    if all(name == TOKEN for name, _ in items):
        return login_page(site, request, notice=LOGGED_OUT, status=401)
    query = f"?{request.url.query}" if request.url.query else ""
    kept = serializer(site).dumps(json.dumps([request.url.path + query, items]))
    return login_page(site, request, notice=TIMED_OUT, resume=str(kept), status=401)


def read_resume(site: "Site", text: str) -> tuple[str, list[tuple[str, str]]] | None:
    """The address and items of a kept form; None where it was not kept by us."""
    if not text:
        return None
    try:
        path, items = json.loads(serializer(site).loads(text, max_age=RESUME_SECONDS))
    except (BadData, ValueError):
        return None
    return path, [(name, value) for name, value in items]


def serializer(site: "Site") -> URLSafeTimedSerializer:
    """Signs a form that waits for its person."""
    return URLSafeTimedSerializer(site.backoffice.secret_key, salt="backoffice.resume")


def next_path(site: "Site", given: str | None) -> str:
    """Where to go after logging in: a page of this site, never another one."""
    home = site.base_url + "/"
    path = local_path(given, home)
    if not path.startswith(home) or urlsplit(path).path in {
        f"{site.base_url}/login",
        f"{site.base_url}/logout",
    }:
        return home
    return path


def words_of(site: "Site", path: str) -> str:
    """What the page is called that one comes back to."""
    parts = urlsplit(path).path.removeprefix(site.base_url).strip("/").split("/")
    view = site.view_called(parts[0]) if parts and parts[0] else None
    return view.name_plural if view is not None else ""


def client_of(request: Request) -> Client:
    """The browser as it presents itself."""
    host = request.client.host if request.client else ""
    return Client(ip=host, user_agent=request.headers.get("user-agent", ""))
