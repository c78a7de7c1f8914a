"""The ASGI application: middleware as one list, endpoints, and the site."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import anyio
from sqladmin.models import BaseView
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from backoffice.admin.accounts import AccountAdmin
from backoffice.admin.model_view import ModelView
from backoffice.admin.site import Site
from backoffice.admin.slow_log import SlowLogAdmin
from backoffice.bootstrap import Backoffice
from backoffice.jobs.worker import Worker
from backoffice.project_module import import_project_module
from backoffice.web.endpoints import Probes, endpoints
from backoffice.web.middleware.refusal import Refusal
from backoffice.web.pipeline import pipeline


def create_app(backoffice: Backoffice) -> Starlette:
    """The application of one process; the database is asked only by requests.

    Raises:
        SettingsError: a view names what its model does not have, or is no view.
    """
    probes = Probes(backoffice)
    app = Starlette(
        routes=[
            Route("/", to_the_site),
            Route("/admin", to_the_site),
            *endpoints(probes),
        ],
        middleware=pipeline(backoffice.settings, backoffice.keeper.recorder),
        exception_handlers={HTTPException: no_page},
        lifespan=working_meanwhile,
    )
    # Such a redirect is an address built from the Host header.
    app.router.redirect_slashes = False
    site = Site(backoffice, app)
    module = import_project_module(
        backoffice.root, backoffice.settings.app.admin, "app.admin"
    )
    for view in views_of(module):
        site.add_view(view)
    site.add_model_view(SlowLogAdmin)
    site.add_model_view(AccountAdmin)
    site.describe_views()
    app.state.site = probes.site = site
    app.state.probes = probes
    return app


# Seconds that the batch under way may take when the server is stopped.
LAST_BATCH = 30.0


@asynccontextmanager
async def working_meanwhile(app: Starlette) -> AsyncIterator[None]:
    """Long work goes on for as long as the application is served."""
    worker: Worker = app.state.site.worker
    probes: Probes = app.state.probes
    worker.start()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(probes.heartbeat.beat)
            yield
            probes.heartbeat.is_draining = True
            tasks.cancel_scope.cancel()
    finally:
        await anyio.to_thread.run_sync(worker.stop, LAST_BATCH)
        # What was observed is kept also when the server is stopped.
        await anyio.to_thread.run_sync(probes.backoffice.keeper.stop)


def views_of(module: ModuleType) -> Iterator[type[Any]]:
    """The module's `views` in their order, else every view in it."""
    declared = getattr(module, "views", None)
    if declared is not None:
        yield from declared
        return
    for value in vars(module).values():
        if not isinstance(value, type):
            continue
        is_view = issubclass(value, ModelView) and hasattr(value, "model")
        is_page = (
            issubclass(value, BaseView)
            and value is not BaseView
            and not issubclass(value, ModelView)
        )
        if is_view or is_page:
            yield value


async def no_page(request: Request, error: Exception) -> Response:
    """Outside of the site there is nothing, and no other way to ask for it."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    heading = "Not this way" if status == 405 else "Not found"  # noqa: PLR2004
    refusal = Refusal(status, heading, "There is no page at this address.")
    response = refusal.response(request.scope)
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def to_the_site(request: Request) -> Response:
    """Nobody types /admin/ twice."""
    del request
    return RedirectResponse("/admin/", 307)
