"""One request in the hands of a page, and what a page may answer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from backoffice.admin.presentation import Frame, Message
from backoffice.auth.sessions import Login

if TYPE_CHECKING:
    from backoffice.admin.model_view import ModelView
    from backoffice.admin.site import Site

# The route of all addresses that do not exist.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Page:
    """A template with what it shows; rendered after the transaction has ended."""

    template: str
    view: Any
    frame: Frame
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go there, and say this on the page that comes next."""

    url: str
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """An answer for machines."""

    content: Any
    status: int = 200


@dataclass(frozen=True, slots=True)
class Streamed:
    """A response that is made outside of the unit of work, by this function."""

    respond: Callable[[], Response]


Reply = Page | Redirect | Data | Streamed


@dataclass(slots=True)
class Call:
    """Who asks for what, in which unit of work; a page gets this and nothing else."""

    site: "Site"
    request: Request
    session: Session
    login: Login
    form: FormData | None = None
    view: "ModelView | None" = None
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        """Whether somebody is logged in; not so on public pages alone."""
        return getattr(self, "login", None) is not None

    @property
    def is_checked(self) -> bool:
        """Whether the database itself has said who asks, for this request."""
        return self.is_known

    @property
    def query_items(self) -> list[tuple[str, str]]:
        """The query string, pair by pair, in order."""
        return list(self.request.query_params.multi_items())

    @property
    def model_view(self) -> "ModelView":
        """The view that the address names."""
        assert self.view is not None  # noqa: S101 - the route's guard found it
        return self.view

    @property
    def key(self) -> str:
        """The key of the record that the address is of."""
        return key_of_part(str(self.request.path_params["pk"]))

    def may(self, action: str, view: "ModelView | None" = None) -> bool:
        """Whether this person may do this, by role and by the view's own flags."""
        return self.site.may(self.login.role, action, view or self.model_view)

    def posted(self, name: str) -> str | None:
        """One text field of the form; None where it was not sent or is a file."""
        value = self.form.get(name) if self.form is not None else None
        return value if isinstance(value, str) else None

    def posted_all(self) -> Mapping[str, str]:
        """The form's text fields; of a name sent twice the last one counts."""
        if self.form is None:
            return {}
        return {k: v for k, v in self.form.multi_items() if isinstance(v, str)}


def route_template(scope: Scope) -> str:
    """The template of the address that was asked for; "" where there is no such."""
    route = scope.get("route")
    if not isinstance(route, Route) or route.name == UNKNOWN:
        return ""
    return f"{scope.get('root_path', '')}{route.path}"


def address(base: str, *parts: str) -> str:
    """A path of quoted parts below `base`."""
    return "/".join([base, *map(quoted_part, parts)])


# A browser takes a part of one or two dots for a way up the path, quoted or not.
_DOTS, _MARKED_DOTS = re.compile(r"~*\.{1,2}"), re.compile(r"~+\.{1,2}")


def quoted_part(text: str) -> str:
    """A text as one part of a path; `.` and `..` stand behind a `~`."""
    if _DOTS.fullmatch(text):
        text = f"~{text}"
    return quote(text, safe="")


def key_of_part(part: str) -> str:
    """The text of which `quoted_part` made this, once it is unquoted."""
    return part[1:] if _MARKED_DOTS.fullmatch(part) else part
