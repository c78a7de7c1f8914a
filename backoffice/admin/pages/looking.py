"""What would an action do with a selection? Tried for a page, and for a terminal."""

from dataclasses import dataclass

from backoffice.admin.actions import ActionSpec
from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.chosen import Task, task_of
from backoffice.admin.pages.confirming import limits
from backoffice.bulk.models import Selection
from backoffice.bulk.preflight import look, look_since
from backoffice.bulk.shown import Shown, shown_of
from backoffice.bulk.trial import Preflight, Since


@dataclass(frozen=True, slots=True)
class Looked:
    """What is done, what came of trying it, and what of that a confirmation needs."""

    task: Task
    found: Preflight
    since: Since
    shown: Shown


def look_at(
    call: Call,
    view: ModelView,
    selection: Selection,
    spec: ActionSpec | None,
    *,
    is_patient: bool,
) -> Looked:
    """Try what is to be done with a selection, and roll it back.

    Whatever the session has loaded is forgotten with it, the selection as well.

    Raises:
        Refused: what the action was told is not accepted.
    """
    parameters, excluded = selection.parameters, list(selection.excluded)
    task = task_of(call, view, selection, spec)
    limited = limits(call, is_patient=is_patient)
    found = look(call.session, task.target, task.change, limited)
    since = Since()
    if task.since is not None:
        # Who could not be counted in time is not told from the others in time either.
        is_late = found.digest is None
        since = (
            Since(None)
            if is_late
            else look_since(call.session, task.since, limited, found.left)
        )
    most = call.site.backoffice.settings.bulk.at_once
    shown = shown_of(found, parameters=parameters, excluded=excluded, most=most)
    return Looked(task, found, since, shown)
