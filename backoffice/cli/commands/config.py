"""Show every setting, where it comes from, and no secret."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from backoffice.cli.project import root_of
from backoffice.cli.terminal import DIM, print_columns, print_json, styled
from backoffice.settings import (
    Settings,
    load_settings,
    overlay_environment,
    read_toml,
)

GROUP = "Look"
MASK = "••••••"


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting as it may be shown."""

    name: str
    value: Any
    origin: str


def run(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print the settings as the site has them."""
    found = shown_settings(root_of(context))
    if json:
        print_json(
            {one.name: {"value": one.value, "origin": one.origin} for one in found}
        )
        return
    print_columns(
        [(one.name, _text(one.value), styled(one.origin, DIM)) for one in found]
    )


def shown_settings(root: Path) -> list[Shown]:
    """Every setting with its origin: the default, the file, or a variable's name."""
    settings = load_settings(root)
    file = read_toml(root / "settings.toml")
    origins: dict[tuple[str, str], str] = {}
    overlay_environment({}, os.environ, origins)
    found = []
    for section in Settings.model_fields:
        values = getattr(settings, section)
        for key in type(values).model_fields:
            place = "settings.toml" if key in file.get(section, {}) else "default"
            found.append(
                Shown(
                    name=f"{section}.{key}",
                    value=_masked(getattr(values, key)),
                    origin=origins.get((section, key), place),
                )
            )
    return found


def _masked(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    return value


def _text(value: Any) -> str:
    if value == "":
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
