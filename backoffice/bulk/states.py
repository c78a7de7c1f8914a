"""Which states can a run be in, and a row of it?"""

from enum import StrEnum


class RunState(StrEnum):
    """How far a run is."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class RowState(StrEnum):
    """Why a row of a run was not changed; a row without a word of its own was met."""

    WAITING = ""
    SAME = "same"
    EXCLUDED = "excluded"
    DRIFTED = "drifted"
    GONE = "gone"
    LOCKED = "locked"
    REFUSED = "refused"


# Beside the states themselves: whatever has not ended.
OPEN = "open"
STATES = (OPEN, *RunState)
