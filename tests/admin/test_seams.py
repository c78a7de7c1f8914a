"""What we rely on of SQLAdmin: a new release that moves it is seen here first."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import sqladmin
from sqladmin.authentication import AuthenticationBackend, login_required
from sqladmin.authorization import AuthorizationBackend
from sqladmin.filters import ForeignKeyFilter
from sqladmin.models import ModelViewMeta
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from backoffice.admin.description import describe
from backoffice.admin.model_view import ModelView
from backoffice.admin.own_names import TOKEN
from backoffice.admin.site import (
    SQLADMIN_ROUTES,
    RoleAuthorization,
    SessionAuthentication,
    Site,
)
from backoffice.errors import SettingsError
from backoffice.listing.spec import FilterKind
from backoffice.settings import Settings
from models.school import ReportCard, Student
from tests.office import Office, opened

SEAMS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (sqladmin.Admin.add_model_view, Site.add_model_view),
    (sqladmin.Admin.add_base_view, Site.add_base_view),
    (
        sqladmin.Admin._handle_action_decorated_func,
        Site._handle_action_decorated_func,
    ),
    (AuthenticationBackend.authenticate, SessionAuthentication.authenticate),
    (AuthenticationBackend.login, SessionAuthentication.login),
    (AuthenticationBackend.logout, SessionAuthentication.logout),
    (AuthorizationBackend.has_permission, RoleAuthorization.has_permission),
]


@pytest.mark.parametrize(
    ("theirs", "ours"), SEAMS, ids=[ours.__qualname__ for _, ours in SEAMS]
)
def test_what_we_override_is_called_as_before(
    theirs: Callable[..., Any], ours: Callable[..., Any]
) -> None:
    """Same names in the same order, and as synchronous as theirs."""
    assert list(inspect.signature(theirs).parameters) == list(
        inspect.signature(ours).parameters
    )
    assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(ours)


def test_the_arguments_of_admin_are_there() -> None:
    """Those that the site gives."""
    parameters = set(inspect.signature(sqladmin.Admin.__init__).parameters)
    assert {
        "app",
        "session_maker",
        "base_url",
        "title",
        "templates_dir",
        "authentication_backend",
        "authorization_backend",
    } <= parameters


def test_sqladmin_has_the_routes_that_we_know(site: Office) -> None:
    """A new one would be served without anybody having looked at it."""
    stock = sqladmin.Admin(Starlette(), engine=site.engine)
    assert {getattr(r, "name", "") for r in stock.admin.router.routes} == (
        SQLADMIN_ROUTES - {"login", "logout"}
    ) | ({"login", "logout"} & {getattr(r, "name", "") for r in stock.admin.routes})


def test_an_unknown_route_stops_the_start(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site says which one."""
    monkeypatch.setattr(
        "backoffice.admin.site.SQLADMIN_ROUTES", SQLADMIN_ROUTES - {"export"}
    )
    with (
        pytest.raises(SettingsError, match="does not know: export"),
        opened(site.engine.url),
    ):
        raise AssertionError("It has started.")


def test_all_our_routes_are_ours(site: Office) -> None:
    """None of SQLAdmin's handlers is left behind an address."""
    for route in site.site.admin.router.routes:
        if isinstance(route, Route):
            owner = getattr(route.endpoint, "func", route.endpoint)
            module = getattr(owner, "__module__", "")
            assert module.startswith("backoffice."), route.path


def test_the_metaclass_keeps_an_identity() -> None:
    """SQLAdmin's overwrites it; ours gives it back, and names the rest as before."""

    class NamedAdmin(ModelView, model=Student):
        identity = "pupil"

    class UnnamedAdmin(ModelView, model=Student):
        pass

    assert isinstance(NamedAdmin, ModelViewMeta)
    assert NamedAdmin.identity == "pupil"
    assert UnnamedAdmin.identity == "student"
    assert UnnamedAdmin.name == "Student"
    assert UnnamedAdmin.name_plural == "Students"


def test_the_words_of_a_view_are_sqladmins() -> None:
    """Every option that we read is one of theirs, or declared by us."""
    read = {
        "name",
        "name_plural",
        "category",
        "column_list",
        "column_exclude_list",
        "column_labels",
        "column_searchable_list",
        "column_filters",
        "column_sortable_list",
        "column_default_sort",
        "column_details_list",
        "column_details_exclude_list",
        "column_formatters",
        "form_columns",
        "form_excluded_columns",
        "page_size",
        "page_size_options",
        "can_create",
        "can_edit",
        "can_delete",
        "can_view_details",
        "can_export",
        "can_import",
    }
    theirs = set(dir(sqladmin.ModelView)) | set(sqladmin.ModelView.__annotations__)
    assert read <= theirs
    for method in ("get_list_columns", "get_filters", "_get_default_sort"):
        assert callable(getattr(sqladmin.ModelView, method))


def test_sqladmins_filter_by_a_foreign_key_asks_for_the_record() -> None:
    """It stands for the relationship, whose filter offers and checks the records."""

    class CardAdmin(ModelView, model=ReportCard):
        column_filters: ClassVar[Any] = [
            ForeignKeyFilter(ReportCard.student_id, Student.full_name)
        ]

    filters = describe(CardAdmin(), Settings()).list_spec.filters
    assert [(one.path, one.kind) for one in filters] == [
        ("student", FilterKind.REFERENCE)
    ]


def test_a_view_of_sqladmins_own_is_refused(site: Office) -> None:
    """Its write path is not ours."""

    class Stock(sqladmin.ModelView, model=Student):
        pass

    with pytest.raises(SettingsError, match="derive it from"):
        site.site.add_model_view(Stock)


def test_a_custom_page_is_guarded(site: Office) -> None:
    """SQLAdmin's `expose` works: behind the login, by role, and with a token."""

    class Report(sqladmin.BaseView):
        name = "Report"

        @sqladmin.expose("/lab-report", methods=["GET", "POST"], identity="lab-report")
        async def show(self, request: Request) -> Response:
            """Say who asks."""
            return PlainTextResponse(f"{request.method} by {request.state.login.name}")

    with opened(site.engine.url) as own:
        own.site.add_base_view(Report)
        assert own.stranger().get("/admin/lab-report").status == 303
        browser = own.browser("editor")
        assert browser.get("/admin/lab-report").response.text == "GET by Emil Editor"
        assert browser.post("/admin/lab-report", {}).status == 403
        sent = {TOKEN: browser.token()}
        elsewhere = {"sec-fetch-site": "cross-site"}
        assert browser.post("/admin/lab-report", sent, headers=elsewhere).status == 403
        seen = browser.post("/admin/lab-report", sent)
        assert seen.response.text == "POST by Emil Editor"
        assert browser.get("/admin/nowhere").status == 404


def test_login_required_asks_our_backend() -> None:
    """The decorator that guards custom pages hands the request over as it is."""
    source = inspect.getsource(login_required)
    assert "auth_backend.authenticate(request)" in source
    assert "isinstance(response, Response)" in source
