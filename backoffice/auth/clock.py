"""What time is it, in a form that every database compares rightly: UTC, aware."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, in UTC; SQLite keeps no zone, so all times must be of one."""
    return datetime.now(UTC)


def as_utc(moment: datetime) -> datetime:
    """A time from the database, aware also where the database forgot its zone."""
    return (
        moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    )
