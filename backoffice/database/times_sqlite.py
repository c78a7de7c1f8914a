"""How are dates and times read that SQLite stores and Python has no value for?

SQLite has no type for them: any text may stand in such a column, and is shown as it is.
"""

from typing import Any

from sqlalchemy import Dialect
from sqlalchemy import types as sql
from sqlalchemy.dialects import sqlite


def read_all_times(dialect: Dialect) -> None:
    """Let this dialect read any date and time, the strange ones as texts."""
    kinds: dict[type[Any], type[Any]] = {
        sql.Date: _Date,
        sql.Time: _Time,
        sql.DateTime: _DateTime,
        sql.TIMESTAMP: _DateTime,
    }
    dialect.colspecs = {**dialect.colspecs, **kinds}


class _Lenient:
    """What the usual type does, and texts where it would give up."""

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        usual = super().result_processor(dialect, coltype)  # type: ignore[misc]

        def read(value: Any) -> Any:
            try:
                return usual(value)
            except (TypeError, ValueError):
                return str(value)

        return read

    def bind_processor(self, dialect: Any) -> Any:
        usual = super().bind_processor(dialect)  # type: ignore[misc]
        return lambda value: value if isinstance(value, str) else usual(value)


class _Date(_Lenient, sqlite.DATE):
    pass


class _Time(_Lenient, sqlite.TIME):
    pass


class _DateTime(_Lenient, sqlite.DATETIME):
    pass
