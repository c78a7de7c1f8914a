"""Which runs are there? The newest first, narrowed down, and paged by their number."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.bulk.models import Run
from backoffice.bulk.states import OPEN

# So many people are offered to choose from.
PEOPLE = 50


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What is asked for; "" is whatever there is.

    `actor` is the name of who has run it, `actor_id` the one person who may see theirs.
    """

    state: str = ""
    view: str = ""
    actor: str = ""
    actor_id: str | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """By which runs a run was taken back, and whether all of its rows were."""

    by: tuple[int, ...]
    is_whole: bool


def find_runs(session: Session, asked: RunFilter, limit: int) -> Sequence[Run]:
    """The newest runs that are asked for."""
    query = select(Run).order_by(Run.id.desc()).limit(limit)
    if asked.actor_id is not None:
        query = query.where(Run.actor_id == asked.actor_id)
    if asked.state == OPEN:
        query = query.where(Run.finished_at.is_(None))
    elif asked.state:
        query = query.where(Run.state == asked.state)
    if asked.view:
        query = query.where(Run.view == asked.view)
    if asked.actor:
        query = query.where(Run.actor_label == asked.actor)
    if asked.before is not None:
        query = query.where(Run.id < asked.before)
    return session.scalars(query).all()


def taken_back(session: Session, runs: Iterable[Run]) -> dict[int, TakenBack]:
    """Those of these runs that others have taken back, all in one statement."""
    known = {run.id: run for run in runs if run.changed}
    if not known:
        return {}
    query = (
        select(Run)
        .where(Run.undone_run_id.in_(known), Run.changed > 0)
        .order_by(Run.id)
    )
    found: dict[int, list[Run]] = {}
    for one in session.scalars(query):
        if one.undone_run_id is not None:
            found.setdefault(one.undone_run_id, []).append(one)
    return {
        number: TakenBack(tuple(one.id for one in by), _is_whole(known[number], by))
        for number, by in found.items()
    }


def _is_whole(run: Run, by: Sequence[Run]) -> bool:
    """Whether one of these has given back every row, or all of them together."""
    return sum(one.changed for one in by) >= run.changed or any(
        one.changed + one.same >= run.changed and not (one.left or one.refused)
        for one in by
    )


def people_of_runs(session: Session) -> Sequence[str]:
    """The names of those who have run something, in their order."""
    names = select(Run.actor_label).distinct().order_by(Run.actor_label)
    return session.scalars(names.limit(PEOPLE)).all()


def views_of_runs(session: Session, actor_id: str | None) -> Sequence[str]:
    """The views on whose records something was run."""
    names = select(Run.view).distinct().order_by(Run.view)
    if actor_id is not None:
        names = names.where(Run.actor_id == actor_id)
    return session.scalars(names).all()
