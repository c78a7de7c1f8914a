"""How is a module that the settings name found? From the project's directory."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

from backoffice.errors import SettingsError


def look_in(root: Path) -> None:
    """Have Python look for modules in the project's directory first."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def import_project_module(root: Path, name: str, setting: str) -> ModuleType:
    """A module that the settings name, imported from the project's directory."""
    look_in(root)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise SettingsError(
                f"settings.toml: {setting} is {name!r}; no such module in {root}."
            ) from error
        raise
