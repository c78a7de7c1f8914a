"""What do the pages of EXPLAIN draw? Plain frozen data, ready in words."""

from dataclasses import dataclass
from typing import NamedTuple

from backoffice.admin.presentation import Hidden, Link, Message, Moment


class StepFact(NamedTuple):
    """One fact of a step: "Filter", and what it is."""

    label: str
    text: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan, drawn as a line of the tree.

    `width` is the bar's length in whole percent; `share` the same in words. `expected`
    and `found` are counts of rows; `tone` is warn or bad where they are far apart.
    """

    name: str
    target: str = ""
    more: str = ""
    width: int = 0
    share: str = ""
    found: str = ""
    expected: str = ""
    tone: str = ""
    is_hot: bool = False
    label: str = ""
    facts: tuple[StepFact, ...] = ()
    children: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding: what, the proof, why it matters, what to do."""

    tone: str
    heading: str
    where: str
    evidence: str
    why: str
    advice: str
    code: str = ""
    sql: str = ""


@dataclass(frozen=True, slots=True)
class PlanView:
    """One statement with its plan, as a tree, as text and as JSON.

    `left` says of a run that was rolled back what was not undone.
    """

    id: str
    title: str
    note: str
    how: str
    how_tone: str
    numbers: str
    verdict: str
    problem: str
    sql: str
    text: str
    json: str
    root: Step | None
    is_measured: bool
    has_rows: bool = True
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TouchedRow:
    """A table or an index that the plans touch."""

    name: str
    rows: str
    size: str
    analyzed: str
    is_index: bool = False


@dataclass(frozen=True, slots=True)
class RunFact:
    """One line of how it was run."""

    label: str
    text: str
    url: str = ""
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class ExplainButton:
    """A form of one button that asks for a new report."""

    label: str
    url: str
    hidden: tuple[Hidden, ...]
    is_primary: bool = False


@dataclass(frozen=True, slots=True)
class ExplainView:
    """The page of one report."""

    tone: str
    verdict: str
    verdict_more: str
    findings: tuple[FindingView, ...]
    plans: tuple[PlanView, ...]
    touched: tuple[TouchedRow, ...]
    run: tuple[RunFact, ...]
    form: str
    forms: tuple[Link, ...]
    buttons: tuple[ExplainButton, ...] = ()
    notes: tuple[Message, ...] = ()
    install_sql: str = ""
    why_not_measured: str = ""
    writing: "WritingOffer | None" = None


@dataclass(frozen=True, slots=True)
class WritingOffer:
    """Running what writes: the button that does it, or why there is none."""

    button: ExplainButton | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report in the list of reports."""

    url: str
    title: str
    verdict: str
    tone: str
    how: str
    who: str
    when: Moment


@dataclass(frozen=True, slots=True)
class ExplainListView:
    """The page of all reports, newest first."""

    rows: tuple[ReportRow, ...]
    older_url: str = ""
    newest_url: str = ""
