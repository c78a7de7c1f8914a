"""How are dates and times read that Python has no value for? As PostgreSQL writes them.

PostgreSQL knows `infinity`, years after 9999 and years before Christ. A row that has
one is read with a text in its place, so that a page can show it, instead of not at all.
"""

from typing import Any

from psycopg import Connection, DataError
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format

KINDS = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")


def read_all_times(connection: Connection[Any]) -> None:
    """Let this connection read any date and time, the strange ones as texts."""
    adapters = connection.adapters
    for kind in KINDS:
        oid = adapters.types[kind].oid
        usual = adapters.get_loader(oid, Format.TEXT)
        if usual is not None and not issubclass(usual, _Lenient):
            adapters.register_loader(oid, _lenient(usual))


class _Lenient(Loader):
    """The usual loader, with the text itself where that one knows no value."""

    usual: type[Any]

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        self._load = self.usual(oid, context).load

    def load(self, data: Buffer) -> Any:
        try:
            return self._load(data)
        except (DataError, OverflowError):
            return bytes(data).decode()


def _lenient(usual: type[Any]) -> type[_Lenient]:
    return type(f"Lenient{usual.__name__}", (_Lenient,), {"usual": usual})
