"""What would an action send? The statements of a run that was not confirmed yet."""

from collections.abc import Iterable
from dataclasses import replace

from backoffice.admin.call import Call
from backoffice.admin.explaining import subject_of
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.chosen import Task
from backoffice.admin.words import series, within_sentence
from backoffice.bulk.change import EachRecord
from backoffice.bulk.deleting_postgresql import deletion_of
from backoffice.bulk.plan_postgresql import whole_update
from backoffice.bulk.postgresql import BY_KEY, recorded_update
from backoffice.bulk.rowwise import locking
from backoffice.bulk.target import Chosen, is_postgresql, read_chosen
from backoffice.errors import Refused
from backoffice.explain.capture import catch, catch_first
from backoffice.explain.report import Question
from backoffice.explain.statement import Caught


def action_question(
    call: Call,
    view: ModelView,
    task: Task,
    label: str,
    *,
    left_out: Iterable[str] = (),
) -> Question:
    """How the rows of an action are found, and how they would be changed.

    `left_out` are keys of rows that were taken out. Nothing is changed: the statements
    are caught on their way.

    Raises:
        Refused: no rows are chosen.
    """
    engine = call.site.backoffice.engine
    most = call.site.backoffice.settings.bulk.at_once
    found = read_chosen(call.session, task.target, most)
    out = set(left_out)
    rows = [row for row in found[:most] if row.key not in out]
    if not rows:
        raise Refused(message=f"No {within_sentence(view.name_plural)} are chosen.")
    note = ""
    if len(found) > most:
        note = (
            f"Of the first {most:,} rows: with more the run goes on in batches, each "
            "of which is changed like this."
        )
    read = catch_first(
        engine,
        lambda session: read_chosen(session, task.target, most),
        "The chosen rows",
    )
    return Question(
        f"{label}, before it runs",
        (read, _changing(call, task, rows, note)),
        subject_of(view),
        typed_by=str(call.login.user_id),
    )


def _changing(call: Call, task: Task, rows: list[Chosen], note: str) -> Caught:
    """The statement that changes them; of a function the one that locks a record."""
    engine, info = call.site.backoffice.engine, call.session.info
    target, change = task.target, task.change

    if isinstance(change, EachRecord):
        if change.is_of_many and is_postgresql(call.session):
            note = f"{note} {_BY_KEY}".strip()
            one = catch(engine, deletion_of(target, rows), "The deletion", note=note)
            return replace(one, settings=BY_KEY)
        return catch_first(
            engine,
            lambda session: session.execute(locking(session, target, rows[0])),
            "Each record, before it is changed",
            note="What the action itself does with a record is not known before.",
            info=info,
        )
    if not is_postgresql(call.session):
        return catch(engine, whole_update(target, change), "The update")
    one = catch_first(
        engine,
        lambda session: session.execute(recorded_update(session, target, change, rows)),
        "The update, with its history",
        note=f"{note} {_BY_KEY}".strip(),
        info=info,
    )
    return replace(one, settings=BY_KEY)


_BY_KEY = (
    "Planned as it runs, so that each row is looked up by its key: with "
    f"{series([f'{name} {to}' for name, to in BY_KEY.items()])}."
)
