"""How ops see the slow log: read only, searched, filtered and exported as any list."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from backoffice.admin.actions import Selected, action
from backoffice.admin.call import Call, Reply
from backoffice.admin.explaining_calls import (
    MOST,
    Picked,
    calls_question,
    why_generic,
)
from backoffice.admin.known_values import values_view
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.explain import answer
from backoffice.admin.presentation import Cell, Fact, FactGroup
from backoffice.auth.permissions import may
from backoffice.observability.models import SlowStatement
from backoffice.observability.statement_texts import aware

# Calls of one statement among which one is looked for whose values are known.
CALLS = 50


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

    @action(
        "Explain",
        answers=True,
        starts=True,
        where="both",
        permission="ops:explain",
        verb="Explain",
        description="One report for all of them, each with its values as long as they "
        "are known.",
    )
    def explain(self, call: Call, selected: Selected) -> Reply:
        """A report on the statements of these lines, those that took longest first."""
        slow = SlowStatement
        lines = selected.rows.order_by(None).subquery()
        by_time = (
            select(lines.c.fingerprint)
            .group_by(lines.c.fingerprint)
            .order_by(func.sum(lines.c.total_ms).desc(), lines.c.fingerprint)
        )
        names = list(call.session.scalars(by_time.limit(1_000)))
        picked = [
            Picked(
                one.fingerprint, one.request_id, aware(one.at), one.process, one.view
            )
            for name in names[:MOST]
            for one in call.session.scalars(
                selected.rows.where(slow.fingerprint == name)
                .order_by(None)
                .order_by(slow.at.desc(), slow.id.desc())
                .limit(CALLS)
            )
        ]
        return answer(call, calls_question(call, picked, of=len(names)))

    def record_label(self, record: SlowStatement) -> str:
        """When it was, and whose it is."""
        where = ", ".join(filter(None, [record.view, record.action]))
        return f"{_second(record, 'at')}{f', {where}' if where else ''}"

    def details_groups(self, record: Any, call: Call) -> Sequence[FactGroup]:
        """What the statement ran with, for who may see that."""
        if not may(call.login.role, "ops:see_values"):
            return ()
        at = aware(record.at)
        recorder = call.site.backoffice.keeper.recorder
        known = recorder.find_call(record.fingerprint, record.request_id, at)
        why = why_generic(call.site, None, at, record.process)
        shown = values_view(
            call.site,
            call.login,
            [known] if known is not None else [],
            view=self.identity,
            request_id=record.request_id,
            empty=f"{why[:1].upper()}{why[1:]}.",
        )
        facts = []
        for row in shown.rows:
            facts += [Fact(name, Cell(text, "mono")) for name, text in row.values]
            if row.remark:
                facts.append(Fact("Not kept", Cell(row.remark)))
        if shown.sub or shown.empty:
            text = shown.sub or shown.empty
            facts.append(Fact("Known", Cell(text[:1].upper() + text[1:])))
        return (FactGroup("Values it ran with", tuple(facts)),)
