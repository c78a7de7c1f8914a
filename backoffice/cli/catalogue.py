"""Which commands there are: the files of `backoffice/cli/commands`, read, not imported.

A command is one file, named as it is typed (`_` stands for `-`): its docstring is the
help and its first line the summary, `GROUP` says where the help lists it, and
`run(context, …)` does it, with Typer's options as parameters. A command whose options
depend on the project has `make_run(root)` instead, which gives such a function.
"""

import ast
import difflib
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent / "commands"

# In this order; a group that is not named here comes last.
GROUPS = ("Serve", "Database", "Accounts", "Look", "Develop")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: how it is typed, what it is for, and its module."""

    name: str
    summary: str
    group: str
    module: str


def commands() -> tuple[Command, ...]:
    """Every command, by group and name."""
    found = [
        _read(path) for path in DIRECTORY.glob("*.py") if not path.name.startswith("_")
    ]
    return tuple(sorted(found, key=lambda one: (_rank(one.group), one.name)))


def find_command(name: str) -> Command | None:
    """The command of this name; its file alone is read."""
    path = DIRECTORY / f"{name.replace('-', '_')}.py"
    is_named_so = name == name.lower() and "_" not in name and not name.startswith("-")
    return _read(path) if is_named_so and name and path.is_file() else None


def similar_commands(name: str) -> list[str]:
    """The commands that may have been meant."""
    names = [command.name for command in commands()]
    begun = [one for one in names if len(name) > 1 and one.startswith(name)]
    return begun or difflib.get_close_matches(name, names, n=3, cutoff=0.6)


def _read(path: Path) -> Command:
    tree = ast.parse(path.read_bytes())
    return Command(
        name=path.stem.replace("_", "-"),
        summary=(ast.get_docstring(tree) or "").partition("\n")[0],
        group=_group(tree),
        module=f"{__package__}.commands.{path.stem}",
    )


def _group(tree: ast.Module) -> str:
    for node in tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id="GROUP")], value=ast.Constant(value=str(group))
            ):
                return group
    return "Other"


def _rank(group: str) -> int:
    return GROUPS.index(group) if group in GROUPS else len(GROUPS)
