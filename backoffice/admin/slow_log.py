"""How ops see the slow log: read only, searched, filtered and exported as any list."""

from datetime import datetime
from typing import Any

from backoffice.admin.model_view import ModelView
from backoffice.observability.models import SlowStatement


def _whole(record: Any, key: str) -> str:
    """Milliseconds without their fractions."""
    value = getattr(record, key)
    return "" if value is None else f"{value:,.0f}"


def _plain(record: Any, key: str) -> str:
    """A word, or nothing: an empty one is nothing to be told."""
    return str(getattr(record, key) or "")


def _second(record: Any, key: str) -> str:
    """The time, with its second."""
    value: datetime = getattr(record, key).astimezone()
    today = datetime.now().astimezone().date()
    return f"{value:%H:%M:%S}" if value.date() == today else f"{value:%d %b, %H:%M:%S}"


class SlowLogAdmin(ModelView, model=SlowStatement):
    """Statements that were slow, slower than usual, or that failed."""

    identity = "slow-log"
    name = "Slow statement"
    name_plural = "Slow log"
    category = "Operations"
    can_create = False
    can_edit = False
    can_delete = False
    column_list = [
        SlowStatement.at,
        SlowStatement.total_ms,
        SlowStatement.wait_ms,
        SlowStatement.view,
        SlowStatement.action,
        SlowStatement.actor_label,
        SlowStatement.row_count,
        SlowStatement.reason,
        SlowStatement.error,
        "statement.text",
    ]
    column_labels = {"statement.text": "Statement"}
    column_searchable_list = [
        SlowStatement.view,
        SlowStatement.request_id,
        SlowStatement.fingerprint,
    ]
    column_search_modes = {
        SlowStatement.view: "exact",
        SlowStatement.request_id: "exact",
        SlowStatement.fingerprint: "exact",
    }
    column_filters = [
        SlowStatement.at,
        SlowStatement.total_ms,
        SlowStatement.view,
        SlowStatement.reason,
        SlowStatement.request_id,
    ]
    column_sortable_list = [SlowStatement.at, SlowStatement.total_ms]
    column_default_sort = [(SlowStatement.at, True)]
    column_details_list = [
        SlowStatement.at,
        SlowStatement.total_ms,
        SlowStatement.wait_ms,
        SlowStatement.execute_ms,
        SlowStatement.fetch_ms,
        SlowStatement.commit_ms,
        SlowStatement.row_count,
        SlowStatement.reason,
        SlowStatement.baseline_ms,
        SlowStatement.error,
        SlowStatement.view,
        SlowStatement.action,
        SlowStatement.actor_label,
        SlowStatement.request_id,
        SlowStatement.process,
        SlowStatement.more,
        SlowStatement.fingerprint,
        "statement.text",
    ]
    column_formatters = {
        SlowStatement.at: _second,
        SlowStatement.total_ms: _whole,
        SlowStatement.wait_ms: _whole,
        SlowStatement.execute_ms: _whole,
        SlowStatement.fetch_ms: _whole,
        SlowStatement.commit_ms: _whole,
        SlowStatement.baseline_ms: _whole,
        SlowStatement.view: _plain,
        SlowStatement.action: _plain,
        SlowStatement.actor_label: _plain,
        SlowStatement.error: _plain,
        SlowStatement.request_id: _plain,
    }
    label_columns = [SlowStatement.at]
    details_related = ()
