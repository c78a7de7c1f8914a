"""How ops see the slow log: read only, searched, filtered and exported as any list."""

from backoffice.admin.model_view import ModelView
from backoffice.observability.models import SlowStatement


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
        SlowStatement.actor_label,
        SlowStatement.request_id,
        SlowStatement.fingerprint,
        SlowStatement.error,
    ]
    column_search_modes = {
        SlowStatement.view: "starts_with",
        SlowStatement.actor_label: "word_start",
        SlowStatement.request_id: "exact",
        SlowStatement.fingerprint: "exact",
        SlowStatement.error: "exact",
    }
    column_filters = [
        SlowStatement.at,
        SlowStatement.total_ms,
        SlowStatement.view,
        SlowStatement.reason,
        SlowStatement.fingerprint,
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
    label_columns = [SlowStatement.at]
    details_related = ()
