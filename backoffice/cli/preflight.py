"""What an action would do, as one reads it in a terminal, and as a machine does."""

from typing import Any

from backoffice.admin.presentation_bulk import BeforeAfter, PreflightView, SampleRow
from backoffice.bulk.outcome import Left
from backoffice.bulk.trial import Preflight
from backoffice.cli.terminal import BOLD, GREEN, RED, YELLOW, print_columns, styled

LISTED = 20
COLOURS = {"ok": GREEN, "warn": YELLOW, "bad": RED}


def print_preflight(
    title: str, words: str, found: Preflight, shown: PreflightView
) -> None:
    """The sentence, the numbers, a sample of rows, and the statement."""
    print(f"{styled(title, BOLD)}: {words}\n")
    print(styled(shown.verdict, COLOURS.get(shown.tone, BOLD)))
    print(shown.text)
    if shown.tiles:
        print()
        print_columns(
            [
                (f"  {one.label}", f"{one.big} {one.small}".strip(), one.line)
                for one in shown.tiles
            ]
        )
    if shown.rows:
        print()
        heads = ("  Record", *(column.label for column in shown.columns), "")
        print_columns([heads, *(_row(one) for one in shown.rows)])
        if shown.sample_words:
            print(f"  ({shown.sample_words})")
    if shown.facts:
        print()
        print_columns([(f"  {one.label}", one.value.text) for one in shown.facts])
    for group in shown.left_out:
        print(f"\n  {group.title}:")
        for one in group.rows[:LISTED]:
            print(f"    {one.label}{': ' + one.reason if one.reason else ''}")
        if len(group.rows) > LISTED:
            print(f"    and {len(group.rows) - LISTED:,} more; --json tells them all.")
    if found.statement:
        print("\n  " + found.statement.strip().replace("\n", "\n  "))


def _row(row: SampleRow) -> tuple[str, ...]:
    return (f"  {row.label}", *(_change(one) for one in row.values), row.remark)


def _change(one: BeforeAfter) -> str:
    if not one.is_changed:
        return one.before
    more = f" ({one.difference})" if one.difference else ""
    return f"{one.before or 'empty'} -> {one.after or 'empty'}{more}"


def preflight_facts(
    words: str, found: Preflight, shown: PreflightView
) -> dict[str, Any]:
    """The same in data: what would change, what would not, and why."""
    return {
        "rows": words,
        "verdict": shown.verdict,
        "how": shown.text,
        "can_run": bool(shown.button),
        "count": found.count,
        "is_exact": found.is_exact,
        "tried": found.tried,
        "changed": found.changed,
        "same": found.same,
        "refused": [_left(one) for one in found.refused],
        "is_refused_capped": found.is_refused_capped,
        "locked": [_left(one) for one in found.locked],
        "sequences": list(found.sequences),
        "problem": found.problem,
        "seconds": found.seconds,
        "bytes": found.written,
        "sample": [
            {
                "key": one.row.key,
                "label": one.row.label,
                "before": dict(one.before),
                "after": dict(one.after),
                "remark": one.words,
            }
            for one in found.samples
        ],
        "facts": {one.label: one.value.text for one in shown.facts},
        "statement": found.statement,
        "plan": found.plan,
    }


def _left(one: Left) -> dict[str, str]:
    return {"key": one.row.key, "label": one.row.label, "why": one.words}
