"""How is a module that the settings name found? From the project's directory."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from backoffice.errors import BackofficeError, ModuleProblem, SettingsError


def look_in(root: Path) -> None:
    """Have Python look for modules in the project's directory first."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def import_project_module(root: Path, name: str, setting: str) -> ModuleType:
    """A module that the settings name, imported from the project's directory.

    Raises:
        SettingsError: there is no such module.
        ModuleProblem: there is a mistake in it, or in what it imports of the project.
    """
    look_in(root)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            if not (root / "settings.toml").is_file():
                raise SettingsError(
                    f"There is no settings.toml in {root}, nor in a directory above "
                    f"it; it says which modules are a project's, as {setting} does."
                ) from error
            raise SettingsError(
                f"settings.toml: {setting} is {name!r}; no such module in {root}."
            ) from error
        raise
    except BackofficeError:
        raise
    except Exception as error:
        frames = _frames_of(root.resolve(), error)
        if not frames:
            raise  # not a line of the project led there
        raise ModuleProblem(
            _sentence(root.resolve(), frames[-1], error),
            "".join(traceback.format_list(frames)).rstrip(),
        ) from error


OURS = Path(__file__).resolve().parent


def _frames_of(root: Path, error: Exception) -> Sequence[traceback.FrameSummary]:
    """The lines of the project that led to an error, the last one where it is."""
    found = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:
        # It was never run, so it has no frame.
        found.append(
            traceback.FrameSummary(
                error.filename, error.lineno, "<module>", line=error.text or ""
            )
        )
    return [one for one in found if _is_of_project(root, one.filename)]


def _is_of_project(root: Path, file: str) -> bool:
    there = Path(file).resolve()
    return (
        not file.startswith("<")  # as <frozen importlib._bootstrap>
        and there.is_relative_to(root)
        and not there.is_relative_to(OURS)
        and "site-packages" not in there.parts
    )


def _sentence(root: Path, frame: traceback.FrameSummary, error: Exception) -> str:
    file = Path(frame.filename).resolve().relative_to(root)
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"{file}, line {frame.lineno}: {what.rstrip('.')}."
