"""Projects whose tables tests migrate: the demo of this repository, and others."""

from pathlib import Path

from sqlalchemy import MetaData

import backoffice.bootstrap  # noqa: F401 - makes the tables of our own known
import models.tables  # noqa: F401 - the demo's
from backoffice.database.base import Base
from backoffice.database.migrations import ProjectMigrations

ROOT = Path(__file__).parent.parent


def demo_project() -> ProjectMigrations:
    """The demo: its revisions, and all tables that they end in."""
    return ProjectMigrations(ROOT / "migrations", [Base.metadata])


def project_of(metadata: MetaData, directory: Path | None) -> ProjectMigrations:
    """Another project, with a metadata of its own and without the demo's tables."""
    return ProjectMigrations(directory, [metadata])
