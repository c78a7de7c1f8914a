"""The site: SQLAdmin's `Admin` with our own pages behind its addresses."""

import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import sqladmin
from sqladmin.authentication import AuthenticationBackend
from sqladmin.authorization import AuthorizationBackend
from sqlalchemy import inspect
from starlette.applications import Starlette
from starlette.convertors import Convertor, PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from backoffice.admin.actions import actions_of
from backoffice.admin.answer import Answering, Handler
from backoffice.admin.assets import assets_route
from backoffice.admin.call import UNKNOWN, Call
from backoffice.admin.description import describe
from backoffice.admin.foot import FootLine
from backoffice.admin.frame import menu_of
from backoffice.admin.model_view import ModelView
from backoffice.admin.ops_answer import OpsAnswering
from backoffice.admin.pages import (
    account,
    action,
    all_runs,
    connections,
    delete,
    details,
    evidence,
    explain,
    export,
    form,
    history,
    index,
    listing,
    login,
    lookup,
    metrics,
    runs,
    statement,
    tables,
    theme,
)
from backoffice.admin.pages.chosen import resolved, trouble
from backoffice.admin.presentation import MenuGroup
from backoffice.auth.permissions import may
from backoffice.bootstrap import Backoffice
from backoffice.database.secret_names import hide_secrets
from backoffice.errors import SettingsError
from backoffice.explain.memory import Memory
from backoffice.jobs.making import make_worker
from backoffice.listing.cursor import CursorCodec
from backoffice.observability.server_statements_postgresql import QueryIds


class WholeNumber(Convertor[int]):
    """A number in an address, short enough for a bigint: any other is no address."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        """The number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """As it stands in an address."""
        return str(value)


class AnyPath(PathConvertor):
    """The rest of an address as it is: a key may have slashes and line breaks.

    Starlette's own ends before a line break; mounted applications are routed by it.
    """

    regex = r"[\s\S]*"


register_url_convertor("whole", WholeNumber())
register_url_convertor("path", AnyPath())

# What SQLAdmin 0.32 routes, by name: a new name must be looked at before it is served.
SQLADMIN_ROUTES = frozenset(
    {
        "statics",
        "index",
        "list",
        "details",
        "delete",
        "create",
        "edit",
        "export",
        "import",
        "ajax_lookup",
        "login",
        "logout",
        "file_download",
        "file_preview",
    }
)


class RoleAuthorization(AuthorizationBackend):
    """SQLAdmin's question, for custom pages and menus, put to `auth.permissions`."""

    def has_permission(
        self, request: Request, identity: str, action: str, obj: Any | None = None
    ) -> bool:
        """Whether the person of this request may do this."""
        del obj
        login = getattr(request.state, "login", None)
        return login is not None and may(login.role, str(action), identity)


class SessionAuthentication(AuthenticationBackend):
    """SQLAdmin's login check, for custom pages: the session's row, as everywhere."""

    def __init__(self, site: "Site") -> None:
        # Not the stock cookie session: its cookie cannot be revoked.
        self.middlewares = []
        self.site = site

    async def authenticate(self, request: Request) -> Response | bool:
        """Read the session; where there is none, lead to the login page."""
        return await self.site.answering.authenticate(request)

    async def login(self, request: Request) -> bool:
        """Not in use: the login page is ours."""
        del request
        return False

    async def logout(self, request: Request) -> bool:
        """Not in use: logging out is ours."""
        del request
        return False


class Site(sqladmin.Admin):
    """SQLAdmin's registry, menu, addresses and custom pages, over our own rooms.

    Its handlers for list, details, create, edit, delete, export, lookup, login and
    logout are replaced under their own route names; import, file download and preview
    are gone.
    """

    def __init__(self, backoffice: Backoffice, app: Starlette) -> None:
        self.backoffice = backoffice
        self.codec = CursorCodec(backoffice.secret_key)
        self.answering = Answering(self, login.resume_page)
        database = backoffice.settings.database
        tokens = (
            40
            if database.pool == "null"
            else database.pool_size + database.max_overflow
        )
        # As many threads do database work as there are connections: who waits, waits
        # here, in order, and not for a connection that times out.
        self.limiter = anyio.CapacityLimiter(tokens)
        # Hashing a password takes a tenth of a second of a core and no connection.
        self.login_limiter = anyio.CapacityLimiter(2)
        # Whoever has a turn of one of these gets a thread at once.
        self.threads = anyio.CapacityLimiter(tokens + 2)
        self.largest_request = int(
            backoffice.settings.web.max_request_megabytes * 1_000_000
        )
        self.exports = threading.BoundedSemaphore(
            backoffice.settings.listing.exports_at_once
        )
        # The values of explained statements, for a quarter of an hour.
        minutes = backoffice.settings.observability.keep_values_minutes
        self.explained = Memory(seconds=minutes * 60)
        backoffice.keeper.chores.append(self.explained.forget)
        self.ops_answering = OpsAnswering(self)
        self.pulse = backoffice.pulse
        backoffice.judging.threads = tokens
        # What the server calls our statements, where it counts them itself.
        self.query_ids = QueryIds()
        self.foot = FootLine(self)
        # Not started by this: by who serves, or works beside who serves.
        self.worker = make_worker(
            backoffice.jobs,
            functools.partial(resolved, self),
            trouble=functools.partial(trouble, self),
            keep_days=backoffice.settings.bulk.keep_days,
        )
        backoffice.keeper.count_beside(backoffice.jobs, self.worker.pool_status)
        super().__init__(
            app,
            # SQLAdmin changes the maker it is given (autoflush): it gets its own.
            session_maker=type(backoffice.sessions)(
                backoffice.engine, expire_on_commit=False
            ),
            base_url="/admin",
            title=backoffice.settings.app.title,
            templates_dir=str(backoffice.root / "templates"),
            authentication_backend=SessionAuthentication(self),
            authorization_backend=RoleAuthorization(),
        )
        stock = {route.name for route in self.admin.router.routes}  # type: ignore[attr-defined]
        if stock != SQLADMIN_ROUTES:
            raise SettingsError(
                "This SQLAdmin serves addresses that Backoffice does not know: "
                f"{', '.join(sorted(stock ^ SQLADMIN_ROUTES))}."
            )
        self.admin.router.routes = list(self.own_routes())
        # Such a redirect is an address built from the Host header.
        self.admin.router.redirect_slashes = False
        self.admin.exception_handlers = {HTTPException: self.answering.refusal}
        self._menus: dict[str, tuple[MenuGroup, ...]] = {}
        self._partly_seen: dict[str, tuple[ModelView, ...]] = {}

    def own_routes(self) -> Iterable[BaseRoute]:
        """Every address of the site; names as SQLAdmin's where it has one."""
        page = self.answering.route
        yield assets_route()
        yield page("/", "index", get=index.show)
        yield page(
            "/login",
            "login",
            get=login.show,
            post=login.log_in,
            public=True,
            slow=True,
        )
        yield page("/logout", "logout", get=login.confirm_logout, post=login.log_out)
        yield page("/theme", "theme", post=theme.choose, public=True)
        yield page("/account", "account", get=account.show, post=account.change)
        yield page("/account/close", "close_session", post=account.close)
        yield page("/account/close-others", "close_others", post=account.close_others)
        yield page("/history", "all_history", get=history.show_all)
        yield page("/explain", "explains", get=explain.show_all, post=explain.ask)
        yield page("/explain/{number}", "explain", get=explain.show)
        yield page("/runs", "runs", get=all_runs.show_all)
        yield page("/runs/{run:whole}", "run", get=runs.show, post=runs.change)
        yield from self.ops_routes()
        view = functools.partial(page, of_view=True)
        yield view("/{identity}/actions", "actions", post=action.choose, action="list")
        yield view(
            "/{identity}/actions/{token}",
            "action",
            get=action.show,
            post=action.submit,
            action="list",
            tries=True,
        )
        yield view(
            "/{identity}/actions/{token}/rows",
            "action_rows",
            get=action.show_rows,
            post=action.keep_rows,
            action="list",
        )
        yield view("/{identity}/list", "list", get=listing.show, action="list")
        yield view("/{identity}/export/csv", "export", get=export.csv, action="export")
        yield view(
            "/{identity}/export/json", "export_json", get=export.json, action="export"
        )
        yield view(
            "/{identity}/ajax/lookup", "ajax_lookup", get=lookup.find, action="list"
        )
        yield view(
            "/{identity}/details/{pk:path}",
            "details",
            get=details.show,
            action="details",
        )
        yield view(
            "/{identity}/history/{pk:path}",
            "history",
            get=history.show_record,
            action="details",
        )
        yield view(
            "/{identity}/create",
            "create",
            get=form.show_create,
            post=form.create,
            action="create",
        )
        yield view(
            "/{identity}/edit/{pk:path}",
            "edit",
            get=form.show_edit,
            post=form.update,
            action="edit",
        )
        yield view(
            "/{identity}/delete/{pk:path}",
            "delete",
            get=delete.show,
            post=delete.delete,
            action="delete",
        )
        yield Route("/{rest:path}", self.answering.unknown, name=UNKNOWN)

    def ops_routes(self) -> Iterable[BaseRoute]:
        """The pages of the metrics, which answer apart from all others."""
        page = self.ops_answering.route
        yield page("/metrics", "metrics", get=metrics.show)
        yield page("/metrics/reset", "reset_metrics", post=metrics.reset)
        yield page("/metrics/checks", "checks", get=evidence.show_checks)
        yield page("/metrics/findings", "findings", get=evidence.show_findings)
        yield page("/metrics/tables", "tables", get=tables.show)
        yield page("/metrics/connections", "connections", get=connections.show_all)
        yield page(
            "/metrics/connection/{pid:whole}",
            "connection",
            get=connections.show,
            post=connections.end,
        )
        yield page("/metrics/statement/{fingerprint}", "statement", get=statement.show)
        yield page(
            "/metrics/request/{request_id}", "request", get=evidence.show_request
        )

    def add_model_view(self, view: type[sqladmin.ModelView]) -> None:
        """Register a view; two of one identity are a mistake, not a surprise."""
        if not issubclass(view, ModelView):
            raise SettingsError(
                f"{view.__name__} is SQLAdmin's own ModelView; "
                "derive it from backoffice.admin.model_view.ModelView."
            )
        if any(known.identity == view.identity for known in self.views):
            raise SettingsError(
                f"Two views are called {view.identity!r}; "
                f"give {view.__name__} an `identity` of its own."
            )
        catch_all = self.admin.router.routes.pop()
        super().add_model_view(view)
        self.admin.router.routes.append(catch_all)
        self._menus.clear()

    def describe_views(self) -> None:
        """Work out every view's description; they need each other."""
        own = [view for view in self.views if isinstance(view, ModelView)]
        for view in own:
            hide_secrets([inspect(view.model).local_table.metadata])
        seen_in_part = {view.model for view in own if view.is_partly_seen}
        for view in own:
            view.description = describe(view, self.backoffice.settings, seen_in_part)
            view.actions = actions_of(view)

    def add_base_view(self, view: type[sqladmin.BaseView]) -> None:
        """Register a custom page, before the address that answers what is unknown."""
        catch_all = self.admin.router.routes.pop()
        super().add_base_view(view)
        self.admin.router.routes.append(catch_all)
        self._menus.clear()

    def _handle_action_decorated_func(
        self, func: Callable[..., Any], view: type, view_instance: Any
    ) -> None:
        """SQLAdmin's actions run on GET, with keys in the address: they are refused."""
        del view
        if hasattr(func, "_action"):
            raise SettingsError(
                f"{type(view_instance).__name__}.{func.__name__} is an action of "
                "SQLAdmin's, which runs on GET; declare it with "
                "backoffice.admin.actions.action."
            )

    def view_called(self, identity: str) -> ModelView | None:
        """The view of this identity, or None."""
        for view in self.views:
            if isinstance(view, ModelView) and view.identity == identity:
                return view
        return None

    def view_of(self, model: type) -> ModelView | None:
        """The first view of a mapped class, or None."""
        for view in self.views:
            if isinstance(view, ModelView) and view.model is model:
                return view
        return None

    def scopes(self, call: Call, view: ModelView) -> dict[type, Callable[..., Any]]:
        """What this person may see of the models that a view's list refers to.

        Only those of which not everybody sees every row.
        """
        if view.identity not in self._partly_seen:
            known = [self.view_of(one) for one in view.description.list_spec.referred()]
            self._partly_seen[view.identity] = tuple(
                one for one in known if one is not None and one.is_partly_seen
            )
        return {
            one.model: functools.partial(_scoped, one, call)
            for one in self._partly_seen[view.identity]
        }

    def view_of_table(self, table_name: str) -> ModelView | None:
        """The first view of a table, or None: the history knows tables."""
        for view in self.views:
            if (
                isinstance(view, ModelView)
                and view.description.table_name == table_name
            ):
                return view
        return None

    def may(self, role: str, action: str, view: ModelView) -> bool:
        """Whether a role may do this in a view, and the view offers it."""
        return view.may(role, action) and may(role, action, view.identity)

    def menu(self, role: str) -> tuple[MenuGroup, ...]:
        """The menu of a role, made once: what one may not see is not in it."""
        if role not in self._menus:
            self._menus[role] = menu_of(self, role)
        return self._menus[role]


def _scoped(view: ModelView, call: Call, select: Any) -> Any:
    """What a person may see of a view, as a function of a select alone."""
    return view.scope(select, call)


__all__ = ["Call", "Handler", "Site"]
