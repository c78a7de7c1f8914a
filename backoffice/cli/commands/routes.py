"""List every address that the site answers."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from backoffice.cli.project import root_of
from backoffice.cli.terminal import print_columns, print_json

GROUP = "Look"


def run(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print method, path and name of each route."""
    from backoffice.cli.site import application_without_database

    with application_without_database(root_of(context)) as app:
        found = sorted(_routes(app, ""))
    if json:
        print_json(
            [dict(zip(("path", "methods", "name"), one, strict=True)) for one in found]
        )
        return
    print_columns([(methods, path, name) for path, methods, name in found])


def _routes(app: Any, prefix: str) -> Iterator[tuple[str, str, str]]:
    for route in getattr(app, "routes", None) or ():
        path = f"{prefix}{route.path}"
        if getattr(route, "routes", None) is not None:
            inner = list(_routes(route, path))
            yield from inner or [(f"{path}/…", "GET", route.name or "")]
        else:
            methods = sorted(getattr(route, "methods", None) or ["GET"])
            yield path, ",".join(methods), route.name or ""
