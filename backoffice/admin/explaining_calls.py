"""Which statement is to be explained, and with which values: a call that is known.

The values of a call are in the memory of the process that ran it, for a quarter of an
hour. Where they are not, the statement is planned for any values, and it is said why.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from backoffice.admin.call import Call
from backoffice.admin.explaining import subject_of
from backoffice.admin.panels import precise
from backoffice.admin.places import place
from backoffice.admin.words import series
from backoffice.errors import RecordNotFound, Refused
from backoffice.explain.findings import Subject
from backoffice.explain.report import Question
from backoffice.explain.statement import (
    Caught,
    from_fingerprint,
    kind_of,
    numbered,
    only_reads,
)
from backoffice.observability.counters import TEXT_KEPT
from backoffice.observability.slow_log import longest_of
from backoffice.observability.statement_texts import read_statement
from backoffice.observability.values import ALL
from backoffice.observability.values import Call as Kept

if TYPE_CHECKING:
    from backoffice.admin.site import Site

MOST = 10
GONE = "the values are not known any more: they are kept for 15 minutes"
PARTLY = (
    "not all of its values are kept: some are secret, long, no plain values, or in SQL "
    "that was written by hand"
)


@dataclass(frozen=True, slots=True)
class Picked:
    """A statement by its fingerprint, and which call of it, where that was said.

    `process` is the one that ran it, as the slow log names it.
    """

    fingerprint: str
    request_id: str = ""
    at: datetime | None = None
    process: str = ""
    view: str = ""


def calls_question(
    call: Call, picked: Sequence[Picked], *, of: int | None = None
) -> Question:
    """Statements of the slow log, of the top statements or of a request.

    Of several calls of one statement the first is taken whose values are known. What
    has no plan is left out and named; so is what was chosen beyond those, `of` being
    how many statements were.

    Raises:
        RecordNotFound: there is no statement of this name.
        Refused: none was named, or too many, or none of them has a plan.
    """
    names = list(dict.fromkeys(one.fingerprint for one in picked))
    if not names or len(names) > MOST:
        raise Refused(message=f"Choose 1 to {MOST} statements to explain.")
    caught: list[Caught] = []
    subjects: dict[str, Subject] = {}
    left_out: list[str] = []
    if of is not None and of > len(names):
        left_out.append(f"The {len(names)} that took longest of {of:,} statements.")
    for name in names:
        calls = [one for one in picked if one.fingerprint == name]
        try:
            one, view = _caught(call, calls)
        except Refused as refused:
            if len(names) == 1:
                raise
            left_out.append(f"{name} is left out. {refused}")
            continue
        caught.append(one)
        known = call.site.view_called(view)
        if known is not None and call.may("list", known):
            subjects[name] = subject_of(known)
    if not caught:
        raise Refused(message=" ".join(left_out))
    title = caught[0].title
    if len(caught) > 1:
        title = f"{len(caught)} statements"
    return Question(
        title,
        tuple(caught),
        subjects=subjects,
        left_out=tuple(left_out),
        took=longest_of(call.session.connection(), [one.fingerprint for one in caught]),
    )


def _caught(call: Call, picked: Sequence[Picked]) -> tuple[Caught, str]:
    """The statement with values where a call of it is known, and its view."""
    name = picked[0].fingerprint
    recorder = call.site.backoffice.keeper.recorder
    known = [recorder.find_call(name, one.request_id, one.at) for one in picked]
    whole = next((one for one in known if one is not None and one.is_whole), None)
    if whole is not None:
        measured = whole.measured
        kind_of(whole.text)
        own = measured.fingerprint
        title = title_of(own.operation, own.table, name, whole.text)
        note = note_of(call.site, whole)
        return Caught(title, whole.text, whole.values, name, note), measured.view
    first = next((one for one in known if one is not None), None)
    operation, table, text, view = _text_of(call, name)
    why = why_generic(call.site, first, picked[0].at, picked[0].process)
    found = remembered(name, operation, table, text, f"Generic plan: {why}.")
    if first is not None and first.withheld != (ALL,):
        # The text that ran knows more than its fingerprint: numbers stand in it.
        text = numbered(first.text)[0]
        found = replace(found, text=text, literals=frozenset())
    return found, picked[0].view or view


def _text_of(call: Call, name: str) -> tuple[str, str, str, str]:
    """Operation, table, text and view of a statement, as long as anybody knows it."""
    sums = call.site.backoffice.keeper.picture().statement(name)
    view = sums[0].view if sums else ""
    record = read_known(call.session.connection(), name)
    if record is not None:
        return (*record, view)
    recorder = call.site.backoffice.keeper.recorder
    # Not written yet: that happens every ten seconds.
    own = recorder.fingerprint_called(name)
    if own is not None:
        return own.operation, own.table, own.text, view
    if sums and len(sums[0].text) < TEXT_KEPT:
        return sums[0].operation, sums[0].table, sums[0].text, view
    raise RecordNotFound(f"No statement is known as {name[:20]}.")


def read_known(connection: Connection, name: str) -> tuple[str, str, str] | None:
    """Operation, table and text of a statement of the log."""
    record = read_statement(connection, name)
    if record is None:
        return None
    return record.operation, record.table_name, record.text


def remembered(
    name: str, operation: str, table: str, text: str, note: str = ""
) -> Caught:
    """A statement by what its fingerprint remembers, without values."""
    text, literals = from_fingerprint(text)
    kind_of(text)
    note = note or "Generic plan: its values are not known, so it is the plan for any."
    title = title_of(operation, table, name, text)
    return Caught(title, text, fingerprint=name, note=note, literals=literals)


def title_of(operation: str, table: str, name: str, text: str = "") -> str:
    """A statement in two words; a WITH is called by what it does."""
    if operation == "WITH" and only_reads(text or operation):
        operation = "SELECT"
    return f"{operation} {table}".strip() or name


def note_of(site: "Site", known: Kept) -> str:
    """Which call's values these are: of when, and of which page."""
    measured = known.measured
    where = place(site, measured.view, measured.action)
    return (
        f"With the values of {precise(known.at).text}{f', {where}' if where else ''}."
    )


def why_generic(
    site: "Site",
    known: Kept | None,
    at: datetime | None = None,
    process: str = "",
) -> str:
    """Why a statement's values are not at hand, as the end of a sentence."""
    if known is not None and not known.is_whole:
        return PARTLY
    keeper = site.backoffice.keeper
    seconds = keeper.recorder.values.seconds
    if not seconds:
        return "no values are kept here (observability.keep_values_minutes is 0)"
    is_old = at is not None and datetime.now(UTC) - at > timedelta(seconds=seconds)
    if is_old or process == keeper.slow_log.process:
        return GONE
    if process:
        return (
            f"the values are in the memory of the process that ran it ({process}), and "
            f"this is {keeper.slow_log.process}"
        )
    others = other_processes(site)
    if others:
        return (
            f"the values are not in the memory of this process (pid {os.getpid()}); "
            f"they may be in {series([f'pid {one}' for one in others[:5]], 'or')}, or "
            "gone after 15 minutes"
        )
    return GONE


def other_processes(site: "Site") -> list[int]:
    """The pids of the other processes that serve or work."""
    picture = site.backoffice.keeper.picture()
    return [
        one.pid
        for one in picture.processes
        if one.pid != os.getpid() and one.kind in {"server", "worker"}
    ]
