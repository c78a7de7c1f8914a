"""A small project, and its commands run as they are typed."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL

from backoffice.cli.main import run_command_line

# One table on a declarative base of its own: other tests share ours.
MODELS = """
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class TinyBase(DeclarativeBase):
    pass

class Thing(TinyBase):
    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
"""
ADMIN = "views = []"
SEEDING = """
from backoffice.seeding.plan import Fill, Plan, Size
from tiny_models import Thing

SIZES = (Size("things", 5, "Things."),)
FIRST_STEPS = ("Look at a thing.",)

def plan(sizes, seed):
    def make(units, random):
        for number in units:
            yield number + 1, f"Thing {number + 1}"
    count = sizes["things"]
    table = Thing.__table__
    return Plan((Fill(table, ("id", "name"), count, count, make),), seed, (table,))
"""
REVISION = '''
"""Make the things."""
import sqlalchemy as sa
from alembic import op

revision = "0001_things"
down_revision = None
branch_labels = None
depends_on = "backoffice_0001_accounts"

def upgrade():
    op.create_table(
        "things",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
    )

def downgrade():
    op.drop_table("things")
'''
SETTINGS = """
[app]
title = "Tiny"
models = "tiny_models"
admin = "tiny_admin"
seeding = "tiny_seeding"

[web]
secret_key = "this secret is never shown anywhere"
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


Manage = Callable[..., Said]


def write_project(root: Path) -> Path:
    """The small project's files."""
    versions = root / "migrations" / "versions"
    versions.mkdir(parents=True)
    (root / "settings.toml").write_text(SETTINGS)
    (root / "tiny_models.py").write_text(MODELS)
    (root / "tiny_admin.py").write_text(ADMIN)
    (root / "tiny_seeding.py").write_text(SEEDING)
    (versions / "0001_things.py").write_text(REVISION)
    return root


@pytest.fixture
def root(tmp_path: Path, empty_database: URL, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small project on an empty PostgreSQL database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *__import__("sys").path])
    monkeypatch.setenv(
        "BACKOFFICE_DATABASE__URL",
        empty_database.render_as_string(hide_password=False),
    )
    monkeypatch.delenv("BACKOFFICE_SUPERUSER_EMAIL", raising=False)
    monkeypatch.delenv("BACKOFFICE_SUPERUSER_PASSWORD", raising=False)
    return write_project(tmp_path)


@pytest.fixture
def manage(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Manage:
    """Run a command as if typed, with nobody at the terminal."""

    def run(*arguments: str, stdin: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = run_command_line(arguments, root, "manage.py")
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture
def migrated(manage: Manage) -> Manage:
    """The same, with the tables made."""
    assert manage("migrate").code == 0
    return manage
