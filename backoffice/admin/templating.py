"""How does a view become HTML? One Jinja environment, made once, synchronous.

A project overrides a page by putting a file of the same name into its `templates/`
directory (`templates/backoffice/list.html`); blocks of ours are inherited from
`backoffice/base.html`.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
)
from markupsafe import Markup

from backoffice.admin import own_names
from backoffice.admin.assets import FOLDER, asset_url
from backoffice.admin.cell_html import row_html
from backoffice.admin.presentation import Frame


@cache
def environment(assets: str, project: Path | None = None) -> Environment:
    """All templates, compiled at first use and kept.

    `assets` is the address under which the files of `assets.py` stand, `project` the
    project's directory: its `templates/` comes before ours.
    """
    loaders: list[BaseLoader] = [PackageLoader("backoffice.admin", "templates")]
    if project is not None:
        loaders.insert(0, FileSystemLoader(project / "templates"))
    made = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )

    def asset(name: str) -> str:
        return asset_url(name, assets)

    made.globals.update(
        asset=asset,
        icon=icons(asset("icons.svg")),
        own=own_names,
        row_html=row_html,
        zip=zip,
    )
    return made


def render(
    template: str, view: object, frame: Frame, project: Path | None = None
) -> str:
    """Draw `view` in `frame`; `template` is "list", "list.html" or a path.

    A name without a slash is one of `backoffice/`. Assets stand under the frame's
    `home_url`.
    """
    name = template if template.endswith(".html") else f"{template}.html"
    if "/" not in name:
        name = f"backoffice/{name}"
    known = environment(f"{frame.home_url.rstrip('/')}/{FOLDER}", project)
    return known.get_template(name).render(view=view, frame=frame)


def icons(address: str) -> Callable[[str], Markup]:
    """A function that draws the icon of a name, from the file at `address`."""

    @cache
    def icon(name: str) -> Markup:
        return Markup(
            '<svg class="i" aria-hidden="true"><use href="{}#i-{}"/></svg>'
        ).format(address, name)

    return icon
