"""What ops pages stand on: memory, other processes' files, the database, read once."""

import time
from dataclasses import dataclass

from backoffice.admin.ops_answer import OpsCall, known_to_answer
from backoffice.admin.panels import (
    at,
    process_names,
)
from backoffice.observability.activity import (
    Live,
    LockNode,
    lock_tree,
    with_holders,
)
from backoffice.observability.housekeeping import Contradiction
from backoffice.observability.judgement import Judgement
from backoffice.observability.live import LivePanels, read_live
from backoffice.observability.picture import Picture


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything that one page stands on, read once.

    `names` are those of processes, and `lives` sessions, by their pids.
    """

    picture: Picture
    live: LivePanels
    judgement: Judgement
    contradictions: tuple[Contradiction, ...]
    names: dict[int, str]
    tree: tuple[LockNode, ...]
    lives: dict[int, Live]


def take_readings(call: OpsCall, *, revision: str | None = None) -> Readings:
    """Memory, the other processes' files, and the database within the deadline."""
    site = call.site
    backoffice = site.backoffice
    picture = backoffice.keeper.picture()
    database = known_to_answer(call)
    live = read_live(
        backoffice.ops, site.pulse.migrations, revision=revision, deadline=call.left
    )
    judging = backoffice.judging
    judgement = judging.judge(picture, live, database=database)
    site.foot.take(judgement)
    sessions = live.activity.value or ()
    return Readings(
        picture=picture,
        live=live,
        judgement=judgement,
        contradictions=judging.contradictions(picture, live),
        names=process_names(picture),
        tree=lock_tree(sessions) if live.activity.is_fresh else (),
        lives={one.backend.pid: one for one in with_holders(sessions, picture.pools)},
    )


def since(picture: Picture) -> str:
    """When counting began: the processes that are gone have counted, too."""
    begun = picture.counted_since
    return at(begun).text if begun is not None else "the beginning"


def hours(picture: Picture) -> float:
    """For how long has been counted."""
    begun = picture.counted_since or time.time()
    return max(0.0, time.time() - begun) / 3600
