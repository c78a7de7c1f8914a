"""How does a view become HTML? One Jinja environment, made once, synchronous.

A project overrides a page by putting a file of the same name into its `templates/`
directory (`templates/backoffice/list.html`); blocks of ours are inherited from
`backoffice/base.html`.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
)
from markupsafe import Markup

from backoffice.admin.assets import Assets
from backoffice.admin.presentation import Frame


class Templates:
    """All templates, compiled at first use and kept.

    `project` is the project's directory: its `templates/` comes before ours.
    """

    def __init__(self, assets: Assets, project: Path | None = None) -> None:
        loaders: list[BaseLoader] = [PackageLoader("backoffice.admin", "templates")]
        if project is not None:
            loaders.insert(0, FileSystemLoader(project / "templates"))
        self.environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )
        self.environment.globals.update(
            asset=assets.url, icon=icons(assets.url("icons.svg")), zip=zip
        )

    def render(self, template: str, view: Any, frame: Frame) -> str:
        """Draw `view` in `frame`; `template` is "list", or a name with its folder.

        A name without a slash or a suffix means `backoffice/<name>.html`.
        """
        name = template if "." in template else f"backoffice/{template}.html"
        return self.environment.get_template(name).render(view=view, frame=frame)


def icons(address: str) -> Callable[[str], Markup]:
    """A function that draws the icon of a name, from the file at `address`."""

    @cache
    def icon(name: str) -> Markup:
        return Markup(
            '<svg class="i" aria-hidden="true"><use href="{}#i-{}"/></svg>'
        ).format(address, name)

    return icon
