"""How ops see the slow log: read only, searched, filtered and exported as any list."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute

from backoffice.admin.actions import Selected, action
from backoffice.admin.call import Call, Page, Reply, address
from backoffice.admin.explaining_calls import (
    MOST,
    Picked,
    calls_question,
    why_generic,
)
from backoffice.admin.frame import frame
from backoffice.admin.known_values import values_view
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.details import own_actions
from backoffice.admin.pages.explain import answer
from backoffice.admin.panels import (
    PARTS,
    coloured,
    ms,
    ops_url,
    precise,
    split_bar,
)
from backoffice.admin.places import NOWHERE, OTHERS, place
from backoffice.admin.presentation import Link
from backoffice.admin.presentation_metrics import NO_LINK, SlowView
from backoffice.admin.presentation_values import ValuesView
from backoffice.admin.words import number
from backoffice.auth.permissions import may
from backoffice.listing.spec import FilterKind
from backoffice.observability.brief import brief
from backoffice.observability.error_words import error_words
from backoffice.observability.measurement import CANCELLED
from backoffice.observability.models import SlowStatement
from backoffice.observability.statement_texts import aware

if TYPE_CHECKING:
    from backoffice.admin.site import Site

# Calls of one statement among which one is looked for whose values are known.
CALLS = 50

PART_NAMES = {
    "wait": "Wait for a connection",
    "execute": "Execute",
    "fetch": "Fetch",
    "commit": "Commit",
}


def _whole(record: Any, key: str) -> str:
    """Milliseconds without their fractions."""
    value = getattr(record, key)
    return "" if value is None else f"{value:,.0f}"


def _plain(record: Any, key: str) -> str:
    """A word, or nothing: an empty one is nothing to be told."""
    return str(getattr(record, key) or "")


def _reason(record: Any, key: str) -> str:
    """Why it is in the log: its error in words, what it waited for, how slow it was."""
    if record.error and record.error != CANCELLED:
        return error_words(record.error)
    if not record.error and record.wait_ms > record.total_ms / 2:
        return "waited for a connection"
    return _plain(record, key)


def _statement(record: Any, key: str) -> str:
    """The statement in a line."""
    del key
    known = record.statement
    return brief(known.text, known.operation, known.table_name)


def _second(record: Any, key: str) -> str:
    """The time, with its second."""
    value: datetime = getattr(record, key).astimezone()
    today = datetime.now().astimezone().date()
    return f"{value:%H:%M:%S}" if value.date() == today else f"{value:%d %b, %H:%M:%S}"


@dataclass(frozen=True, slots=True)
class NamedViews:
    """A filter by view, under the names that the menu has."""

    column: InstrumentedAttribute[str]
    title: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Pasted:
    """A filter by a text that one has from elsewhere, as it is."""

    column: InstrumentedAttribute[str]
    kind: FilterKind = FilterKind.TEXT


class SlowLogAdmin(ModelView, model=SlowStatement):
    """Statements that were slow, slower than usual, or that failed."""

    identity = "slow-log"
    name = "Slow statement"
    name_plural = "Slow log"
    category = "Operations"
    empty_list = "Nothing was slow or failed yet"
    can_create = False
    can_edit = False
    can_delete = False
    column_list = [
        SlowStatement.at,
        SlowStatement.total_ms,
        SlowStatement.reason,
        "statement.text",
        SlowStatement.view,
        SlowStatement.actor_label,
        SlowStatement.row_count,
    ]
    column_export_list = [
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
    export_formats = ("csv", "json")
    phone_columns = [
        SlowStatement.total_ms,
        SlowStatement.reason,
        SlowStatement.view,
        "statement.text",
    ]
    column_labels = {"statement.text": "Statement"}
    column_searchable_list = [
        "statement.text",
        SlowStatement.view,
        SlowStatement.request_id,
        SlowStatement.fingerprint,
    ]
    column_search_modes = {
        SlowStatement.view: "exact",
        SlowStatement.request_id: "exact",
        SlowStatement.fingerprint: "exact",
    }
    column_sortable_list = [SlowStatement.at, SlowStatement.total_ms]
    column_default_sort = [(SlowStatement.at, True)]
    column_formatters = {
        SlowStatement.at: _second,
        SlowStatement.total_ms: _whole,
        SlowStatement.actor_label: _plain,
        SlowStatement.reason: _reason,
        "statement.text": _statement,
    }
    loads = [
        "action",
        "error",
        "wait_ms",
        "statement.operation",
        "statement.table_name",
    ]
    label_columns = [SlowStatement.at]
    details_related = ()

    @action(
        "Explain",
        answers=True,
        starts=True,
        where="both",
        permission="ops:explain",
        verb="Explain",
        description="One report for all of them: for who may see values each with its "
        "own, as long as they are known.",
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
        where = place(self._site, record.view, record.action)
        return f"{_second(record, 'at')}{f', {where}' if where else ''}"

    def values_of(self, record: Any, call: Call) -> ValuesView | None:
        """What the statement ran with, for who may see that."""
        if not may(call.login.role, "ops:see_values"):
            return None
        at = aware(record.at)
        recorder = call.site.backoffice.keeper.recorder
        known = recorder.find_call(record.fingerprint, record.request_id, at)
        why = why_generic(call.site, None, at, record.process)
        return values_view(
            call.site,
            call.login,
            [known] if known is not None else [],
            view=self.identity,
            request_id=record.request_id,
            empty=f"{why[:1].upper()}{why[1:]}.",
        )

    def __init__(self) -> None:
        super().__init__()
        # Of the view itself: only it knows what its site's other views are called.
        own = {**self.column_formatters, SlowStatement.view: self._named}
        vars(self)["column_formatters"] = own

    @property
    def _site(self) -> "Site":
        return cast("Site", self._admin_ref)

    def names(self) -> dict[str, str]:
        """What each place is called: views as in the menu, and what has no view."""
        views = {
            view.identity: view.name_plural
            for view in self._admin_ref.views
            if isinstance(view, ModelView)
        }
        return {**OTHERS, **views}

    def _named(self, record: Any, key: str) -> str:
        return place(self._site, getattr(record, key), record.action) or NOWHERE

    def get_filters(self) -> list[Any]:
        """The filters, that of the view with the views' names."""
        names = tuple((key, name) for key, name in self.names().items() if key)
        return [
            SlowStatement.at,
            SlowStatement.total_ms,
            NamedViews(SlowStatement.view, "View", names),
            SlowStatement.actor_label,
            SlowStatement.error,
            SlowStatement.reason,
            SlowStatement.request_id,
            Pasted(SlowStatement.fingerprint),
        ]

    def show_record(self, call: Call, record: Any) -> Page:
        """What it was, whose, where its time went, and the way on."""
        site = call.site
        known = record.statement
        line = brief(known.text, known.operation, known.table_name)
        at = precise(record.at)
        facts: list[tuple[str, str]] = [
            ("Time", at.full),
            ("Took", ms(record.total_ms)),
            ("Page", place(site, record.view, record.action) or NOWHERE),
            ("User", record.actor_label or "nobody"),
            ("Rows", "" if record.row_count is None else number(record.row_count)),
            ("In the log because", record.reason),
            ("Usually", ms(record.baseline_ms) if record.baseline_ms else ""),
            ("Error", error_words(record.error) if record.error else ""),
            ("Process", record.process),
            ("More in that minute", number(record.more) if record.more else ""),
        ]
        parts: list[tuple[str, str, float]] = [
            (css, name, getattr(record, f"{name}_ms")) for css, name in PARTS
        ]
        request = NO_LINK
        if record.request_id:
            url = ops_url(site, "request", record.request_id)
            request = Link(record.request_id, url)
        view = SlowView(
            values=self.values_of(record, call),
            facts=tuple(fact for fact in facts if fact[1]),
            sql=coloured(known.text),
            bar=split_bar(parts),
            parts=tuple((PART_NAMES[name], ms(value)) for _, name, value in parts),
            request=request,
            statement=Link(
                record.fingerprint, ops_url(site, "statement", record.fingerprint)
            ),
        )
        crumbs = [
            Link("Operations", ""),
            Link("Metrics", ops_url(site)),
            Link(self.name_plural, address(site.base_url, self.identity, "list")),
        ]
        title = f"{line}, {at.text}"
        actions = own_actions(call, self)
        return Page(
            "slow", view, frame(call, title=title, crumbs=crumbs, actions=actions)
        )
