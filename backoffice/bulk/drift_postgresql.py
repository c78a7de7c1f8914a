"""Which of many rows were written since they were shown? By what was visible then.

Of a million rows no version is kept one by one. But the transactions that a snapshot
sees are known by two numbers and a short list, and each row says which one wrote it.
"""

from typing import Any

from sqlalchemy import BigInteger, Text, case, cast, func, literal, not_, select
from sqlalchemy.orm import Session
from sqlalchemy.types import UserDefinedType

from backoffice.bulk.keys_postgresql import key_text_postgresql
from backoffice.bulk.target import Target, version_postgresql

EPOCH = 2**32
# Numbers below are no transactions.
FIRST = 3


class _Xid8(UserDefinedType[str]):
    """A transaction's number, which never begins anew."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "xid8"


class _Snapshot(UserDefinedType[str]):
    """Which transactions are visible."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "pg_snapshot"


def snapshot_postgresql(session: Session) -> str:
    """What is visible now, in words that are kept."""
    return str(session.scalar(select(cast(func.pg_current_snapshot(), Text))))


def written_since(
    session: Session, target: Target, snapshot: str, limit: int
) -> tuple[str, ...]:
    """Keys of rows that were changed or made since the snapshot, at most so many."""
    now = cast(
        cast(func.pg_snapshot_xmax(func.pg_current_snapshot()), Text), BigInteger
    )
    # A row has the last 32 bits of the number: of this round, or of the one before.
    short = cast(version_postgresql(target.table), BigInteger)
    same = now - now % EPOCH + short
    whole = func.greatest(case((same >= now, same - EPOCH), else_=same), FIRST)
    is_known = func.pg_visible_in_snapshot(
        cast(cast(whole, Text), _Xid8), cast(literal(snapshot, Text), _Snapshot)
    )
    rows = target.only([key_text_postgresql(target.keys)]).where(not_(is_known))
    return tuple(session.scalars(rows.order_by(*target.keys).limit(limit)))
