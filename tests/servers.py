"""A PostgreSQL of a test run's own, of which nothing is left afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from backoffice.database.embedded import embedded_postgres


@contextmanager
def own_server(version: int = 18) -> Iterator[URL]:
    """The URL of the superuser of a server that runs meanwhile."""
    # pytest's own directories are closed to the system user that root starts it under.
    root = Path(tempfile.mkdtemp(prefix="postgres-"))
    root.chmod(0o755)
    try:
        with embedded_postgres(root, version=version, durable=False) as server:
            yield server.superuser_url
        # As root the data may be outside of `root`.
        shutil.rmtree(server.data_directory.parent)
    finally:
        shutil.rmtree(root, ignore_errors=True)
