"""Which values of statements may this person see? And that they did is written down.

Without that entry no value is shown: it is written over the ops connection, as the
pages of the metrics are apart from the staff's pool.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from backoffice.admin.panels import ms, ops_url, precise
from backoffice.admin.places import NOWHERE, place
from backoffice.admin.presentation import Link
from backoffice.admin.presentation_values import ValuesRow, ValuesView
from backoffice.admin.words import moment, series, shortened
from backoffice.audit.recorder import add_entry
from backoffice.auth.sessions import Login
from backoffice.observability.brief import brief
from backoffice.observability.values import ALL, Call, Values

if TYPE_CHECKING:
    from backoffice.admin.site import Site

SEEN = "values_seen"
LONGEST = 200
SHOWN = 20
UNWRITTEN = (
    "Not shown: that you have seen them could not be written to the history, because "
    "the database does not answer."
)


def values_view(
    site: "Site",
    login: Login,
    calls: Sequence[Call],
    *,
    view: str,
    request_id: str = "",
    empty: str = "",
    has_statements: bool = False,
) -> ValuesView:
    """These calls with their values, for somebody who may see them.

    That they are seen is written once, with the names of the statements.
    """
    calls = calls[:SHOWN]
    if not calls:
        return ValuesView((), empty=empty)
    names = list(dict.fromkeys(one.fingerprint for one in calls if one.values))
    if names and not note_seen(site, login, names, view=view, request_id=request_id):
        return ValuesView((), empty=UNWRITTEN)
    sub = ""
    if names:
        until = moment(min(one.until for one in calls), with_time=True).text
        sub = (
            f"in the memory of this process until {until}, never stored; that you see "
            "them is written to the history"
        )
    return ValuesView(
        tuple(_row(site, one) for one in calls), sub, has_statements=has_statements
    )


def note_seen(
    site: "Site",
    login: Login,
    fingerprints: Iterable[str],
    *,
    view: str,
    request_id: str = "",
    label: str = "",
) -> bool:
    """Write who has seen the values of which statements; False where that failed."""
    names = list(fingerprints)
    noun = "Statement" if len(names) == 1 else "Statements"
    changes: dict[str, list[Any]] = {}
    if names:
        changes["statements"] = [None, ", ".join(names)]
    if request_id:
        changes["request"] = [None, request_id]

    def write(link: Connection) -> bool:
        with Session(link) as session:
            add_entry(
                session,
                action=SEEN,
                label=label or f"{noun} {', '.join(names)}",
                changes=changes,
                actor=login.actor,
                view=view,
            )
            session.commit()
        return True

    return site.backoffice.ops.call("audit", write).is_fresh


def value_facts(values: Values) -> tuple[tuple[str, str], ...]:
    """Each value by its name; a long one is cut."""
    if isinstance(values, Mapping):
        items = [(str(name), value) for name, value in values.items()]
    else:
        items = [(str(at), value) for at, value in enumerate(values, 1)]
    return tuple((name, shortened(value_text(value), LONGEST)) for name, value in items)


def value_text(value: Any) -> str:
    """A value so that its kind can be told: a text in quotes, a time without."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return repr(str.__str__(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return repr(value) if isinstance(value, bytes) else str(value)


def left_out_words(call: Call) -> str:
    """What of a call is not kept."""
    if not call.withheld:
        return "" if call.values else "It has no values."
    if call.withheld == (ALL,):
        return (
            "Its values are not kept: they are secret, long, or in SQL that was "
            "written by hand."
        )
    names = series(call.withheld[:5]) + (" …" if len(call.withheld) > 5 else "")  # noqa: PLR2004
    return f"Not kept, because secret, long or no plain value: {names}."


def _row(site: "Site", call: Call) -> ValuesRow:
    measured = call.measured
    own = measured.fingerprint
    actor = measured.work.actor if measured.work is not None else None
    outcome = f", {measured.error}" if measured.error else ""
    return ValuesRow(
        at=precise(call.at),
        statement=Link(
            brief(own.text, own.operation, own.table),
            ops_url(site, "statement", own.id),
        ),
        place=place(site, measured.view, measured.action) or NOWHERE,
        user=actor.label if actor is not None else "nobody",
        ms=ms(measured.total / 1e6) + outcome,
        values=value_facts(call.values),
        remark=left_out_words(call),
    )
