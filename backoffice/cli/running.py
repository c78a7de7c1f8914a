"""A run of an action in a terminal: its facts, and what came of it."""

from typing import Any

from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.all_runs import outcome_of
from backoffice.admin.pages.runs import verdict_of
from backoffice.bulk.models import Run
from backoffice.cli.terminal import GREEN, RED, YELLOW, styled
from backoffice.jobs.attendance import Attendance, standing

COLOURS = {"ok": GREEN, "warn": YELLOW, "bad": RED}


def run_facts(run: Run, workers: Attendance | None = None) -> dict[str, Any]:
    """A run as a machine reads it; its state is said as it stands with the workers."""
    return {
        "run": run.id,
        "at": run.created_at.isoformat(),
        "by": run.actor_label,
        "view": run.view,
        "action": run.label,
        "rows": run.words,
        "state": standing(run, workers or Attendance()),
        "total": run.total,
        "met": run.met,
        "changed": run.changed,
        "same": run.same,
        "left": run.left,
        "refused": run.refused,
        "seconds": run.busy_ms / 1000,
        "reason": run.reason,
        "told": run.parameters,
        "outcome": outcome_of(run),
        "sql": run.statement,
        "ended": run.finished_at.isoformat() if run.finished_at else None,
    }


def print_outcome(run: Run, view: ModelView) -> None:
    """What came of a run, in the words of its page."""
    tone, _, sentence, text = verdict_of(view, run, Attendance())
    print(f"\n{styled(sentence, COLOURS.get(tone, ''))} {text}".rstrip())
    print(f"This was run {run.id}; its page is /admin/runs/{run.id}.")
