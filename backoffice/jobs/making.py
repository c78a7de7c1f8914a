"""Which worker does long work on this database?"""

from typing import Any

from sqlalchemy import Engine

from backoffice.bulk.batches import Resolve
from backoffice.jobs.worker import Worker
from backoffice.jobs.worker_postgresql import PostgresWorker
from backoffice.jobs.worker_sqlite import SQLiteWorker


def make_worker(engine: Engine, resolve: Resolve, **options: Any) -> Worker:
    """The worker for the engine's database, not started; `options` as `Worker` has."""
    kind = PostgresWorker if engine.dialect.name == "postgresql" else SQLiteWorker
    return kind(engine, resolve, **options)
