"""What stands around a page: menu, person, head, token."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from backoffice.admin.call import Call, address
from backoffice.admin.cookies import THEME_COOKIE
from backoffice.admin.model_view import ModelView
from backoffice.admin.presentation import (
    Action,
    Frame,
    Link,
    MenuGroup,
    MenuItem,
    Person,
)
from backoffice.admin.visitor import form_owner
from backoffice.auth.csrf import make_token
from backoffice.auth.permissions import may
from backoffice.auth.sessions import Login
from backoffice.observability.request_id import current_request_id

if TYPE_CHECKING:
    from backoffice.admin.failures import Problem
    from backoffice.admin.site import Site

OPERATIONS = "Operations"


def menu_of(site: "Site", role: str) -> tuple[MenuGroup, ...]:
    """The groups of the menu in their order, without what is not allowed."""
    groups: dict[str, list[MenuItem]] = {}
    for view in site.views:
        label = view.category or ""
        if isinstance(view, ModelView):
            if site.may(role, "list", view):
                url = address(site.base_url, view.identity, "list")
                groups.setdefault(label, []).append(MenuItem(view.name_plural, url))
        elif role_may_page(site, role, view):
            url = address(site.base_url, view.identity)
            groups.setdefault(label, []).append(MenuItem(view.name, url))
    if may(role, "ops:explain"):
        item = MenuItem("Explain reports", address(site.base_url, "explain"))
        groups.setdefault(OPERATIONS, []).append(item)
    if role in {"admin", "ops", "editor"}:
        item = MenuItem("Runs", address(site.base_url, "runs"))
        groups.setdefault(OPERATIONS, []).append(item)
    if may(role, "ops:view"):
        item = MenuItem("Metrics", address(site.base_url, "metrics"))
        groups.setdefault(OPERATIONS, []).insert(0, item)
    if role in {"admin", "ops"}:
        item = MenuItem("History", address(site.base_url, "history"))
        groups.setdefault(OPERATIONS, []).append(item)
    return tuple(MenuGroup(label, tuple(items)) for label, items in groups.items())


def role_may_page(site: "Site", role: str, view: Any) -> bool:
    """Whether a custom page is drawn for a role."""
    del site
    return bool(view.identity) and may(role, "list", view.identity)


def frame(
    call: Call,
    *,
    title: str,
    heading: str = "",
    sub: str = "",
    crumbs: Iterable[Link] = (),
    actions: Iterable[Action] = (),
    width: str = "",
    here: str = "",
) -> Frame:
    """The frame of a page for the person who asks."""
    return build_frame(
        call.site,
        call.request,
        call.login,
        title=title,
        heading=heading or title,
        sub=sub,
        crumbs=tuple(crumbs),
        actions=tuple(actions),
        width=width,
        here=here,
    )


def build_frame(
    site: "Site", request: Request, login: Login | None, **parts: Any
) -> Frame:
    """A frame; without a login there is no menu."""
    here = parts.pop("here", "") or _here(request)
    theme = request.cookies.get(THEME_COOKIE, "")
    current = request.path_params.get("identity", "")
    # A view's pages all belong to its line; another page is its own line, or none.
    prefix = address(site.base_url, current) + "/" if current else ""
    return Frame(
        brand=site.title,
        menu=_with_current(site.menu(login.role), prefix, request.url.path)
        if login
        else (),
        person=(
            Person(login.name, login.role, address(site.base_url, "account"))
            if login
            else None
        ),
        csrf=make_token(site.backoffice.secret_key, form_owner(request, login)),
        theme=theme if theme in {"light", "dark"} else "",
        request_id=current_request_id(),
        here=here,
        home_url=site.base_url + "/",
        theme_url=address(site.base_url, "theme"),
        logout_url=address(site.base_url, "logout"),
        foot=site.foot.now() if login and may(login.role, "ops:view") else None,
        is_answer=_is_answer(request),
        **parts,
    )


def plain_frame(
    site: "Site", request: Request, login: Login | None, problem: "Problem"
) -> Frame:
    """The frame of an error page: it needs no database."""
    return build_frame(
        site,
        request,
        login,
        title=problem.heading,
        heading=problem.heading,
        width="narrow",
        here=site.base_url + "/",
    )


def _with_current(
    menu: tuple[MenuGroup, ...], prefix: str, path: str
) -> tuple[MenuGroup, ...]:
    """The menu with the line of this page marked."""
    return tuple(
        MenuGroup(
            group.label,
            tuple(
                MenuItem(item.label, item.url, is_current=True)
                if (item.url.startswith(prefix) if prefix else item.url == path)
                else item
                for item in group.items
            ),
        )
        for group in menu
    )


def _is_answer(request: Request) -> bool:
    """Whether this answers a form, at an address that also has a page of its own."""
    methods = getattr(request.scope.get("route"), "methods", None) or ()
    return request.method == "POST" and "GET" in methods


def _here(request: Request) -> str:
    """Path and query of a page that can be loaded again."""
    if request.method != "GET":
        return ""
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")
