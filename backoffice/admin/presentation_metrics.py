"""What do the pages of the metrics get to draw? Plain data in words, as ever."""

from dataclasses import dataclass

from backoffice.admin.presentation import Cell, Hidden, Link, Moment
from backoffice.admin.presentation_values import ExplainForm, ValuesView
from backoffice.admin.svg import Plot

NO_LINK = Link("", "")


@dataclass(frozen=True, slots=True)
class Unread:
    """Why something is not shown, or not as of now: never zero, never "OK"."""

    what: str
    why: str
    last: str = ""
    retry_url: str = ""


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The first sentence of the page, what it rests on, and what to look at."""

    level: str  # ok, warn, bad
    icon: str
    sentence: str
    cause: str = ""
    cause_link: Link = NO_LINK
    rests_on: str = ""
    checks_url: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the four signals: a number, its hour, and what it stands on."""

    label: str
    url: str
    number: str
    base: str
    plot: Plot | None
    line: str
    tone: str = ""
    evidence_url: str = ""


@dataclass(frozen=True, slots=True)
class HouseFact:
    """A fact of the housekeeping: what it is, and where that is explained."""

    name: str
    cell: Cell
    meaning_url: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A meter: the width of each part as an attribute, and what it says in words."""

    label: str
    parts: tuple[tuple[str, str, str], ...]  # class, x, width
    tone: str = ""


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One pool of one process."""

    process: str
    pid: str
    bar: Bar | None
    used: str
    checked_in: str
    overflow: str
    waiting: str
    wait: str
    longest: str
    timeouts: str
    refused: str
    lost: str
    oldest: str
    memory: str
    tone: str = ""
    waiting_tone: str = ""
    wait_tone: str = ""
    refused_tone: str = ""
    cannot: str = ""


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A session of the server, or a connection of ours that somebody holds."""

    name: str
    url: str
    place: str
    user: str
    state: str
    lasting: str
    blocks: str = ""
    depth: str = ""  # "", d1 or d2
    tone: str = ""
    is_hot: bool = False
    act: str = ""  # what the button says
    why_not: str = ""  # why there is none that would work


@dataclass(frozen=True, slots=True)
class LivePanel:
    """What runs, waits or stands idle; a sentence alone when all is calm."""

    heading: str
    sentence: str
    rows: tuple[LiveRow, ...] = ()
    more: tuple[Link, ...] = ()
    all_link: Link = NO_LINK
    unread: Unread | None = None


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Something to mend, with what to do and what it saves."""

    text: str
    fix: str
    place: str
    saves: str
    met: str
    evidence: Link = NO_LINK
    line: str = ""


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One statement by one view."""

    text: str
    url: str
    place: str
    bar: Bar
    share: str
    calls: str
    p95: str
    highest: str
    rows: str
    errors: str
    has_errors: bool = False


@dataclass(frozen=True, slots=True)
class ViewRow:
    """The requests of one view and action."""

    place: str
    url: str
    requests: str
    p95: str
    highest: str
    statements: str
    reads: str
    looked: str
    over: str
    reads_tone: str = ""
    over_tone: str = ""


@dataclass(frozen=True, slots=True)
class SlowRow:
    """One line of the slow log."""

    at: Moment
    url: str
    ms: str
    bar: Bar
    place: str
    user: str
    outcome: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Tab:
    """One way to order what is shown."""

    label: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class MetricsView:
    """The one small page."""

    verdict: VerdictView
    tiles: tuple[Tile, ...]
    live: LivePanel
    pools: tuple[PoolRow, ...]
    pools_sub: str
    holders_url: str
    findings: tuple[FindingRow, ...]
    findings_sub: str
    findings_link: Link
    statements: tuple[StatementRow, ...]
    statements_empty: str
    statements_sub: str
    statements_unread: Unread | None
    tabs: tuple[Tab, ...]
    views: tuple[ViewRow, ...]
    views_sub: str
    slow: tuple[SlowRow, ...]
    slow_sub: str
    slow_empty: str
    slow_link: Link
    slow_unread: Unread | None
    house: tuple[HouseFact, ...]
    house_link: Link
    house_unread: tuple[Unread, ...]
    note: str = ""
    statements_note: str = ""
    # In trouble the cause comes first, and the rest is folded up.
    is_trouble: bool = False
    is_order_asked: bool = False
    statements_lead: str = ""
    overhead: str = ""
    json_url: str = ""
    reset_url: str = ""
    meanings_url: str = ""
    every_view: Link = NO_LINK


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a statement's time."""

    css: str
    label: str
    time: str
    share: str


@dataclass(frozen=True, slots=True)
class OriginRow:
    """Who runs a statement."""

    view: Link
    action: str
    bar: Bar
    share: str
    calls: str
    p95: str
    last: Moment


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One call of a statement; `explain` names it in a form, where it has a plan."""

    at: Moment
    ms: str
    rows: str
    user: str
    place: str
    outcome: str
    request: Link
    tone: str = ""
    explain: tuple[Hidden, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerCount:
    """A number of ours beside the server's own."""

    label: str
    ours: str
    server: str


@dataclass(frozen=True, slots=True)
class StatementView:
    """One statement: what it is, where its time goes, who runs it."""

    facts: tuple[tuple[str, str], ...]
    sql: tuple[tuple[str, str], ...]  # is it a keyword ("b") or not (""), and the text
    facts_sub: str
    plot: Plot | None
    ticks: tuple[str, ...]
    axis: tuple[str, ...]
    plot_note: str
    plot_unread: Unread | None
    bar: Bar | None
    parts: tuple[Part, ...]
    parts_sub: str
    origins: tuple[OriginRow, ...]
    samples: tuple[SampleRow, ...]
    samples_unread: Unread | None
    samples_sub: str
    server: tuple[ServerCount, ...] = ()
    server_sub: str = ""
    server_ids: str = ""
    findings: tuple[FindingRow, ...] = ()
    verdict: VerdictView | None = None
    slow_url: str = ""
    explain: ExplainForm | None = None
    values: ValuesView | None = None


@dataclass(frozen=True, slots=True)
class AskedRow:
    """One statement of a request, with its repeats."""

    text: str
    url: str
    bar: Bar
    ms: str
    repeats: str
    rows: str
    note: str
    tone: str = ""
    explain: tuple[Hidden, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestView:
    """One request: what of it is known."""

    facts: tuple[tuple[str, str], ...]
    samples: tuple[SampleRow, ...]
    statements: tuple[AskedRow, ...]
    statements_sub: str
    findings: tuple[FindingRow, ...]
    empty: str
    unread: Unread | None = None
    explain_url: str = ""
    values: ValuesView | None = None


@dataclass(frozen=True, slots=True)
class SlowView:
    """One entry of the slow log."""

    facts: tuple[tuple[str, str], ...]
    sql: tuple[tuple[str, str], ...]
    bar: Bar
    parts: tuple[tuple[str, str], ...]
    request: Link
    statement: Link
    values: ValuesView | None = None


@dataclass(frozen=True, slots=True)
class ConnectionsView:
    """All sessions of the server, and the connections that we hold.

    `absent` says why there are none of a server.
    """

    rows: tuple[LiveRow, ...]
    held: tuple[LiveRow, ...]
    waiting: tuple[LiveRow, ...]
    unread: Unread | None
    sub: str
    absent: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One session, and the ways to end it."""

    facts: tuple[tuple[str, str], ...]
    sql: tuple[tuple[str, str], ...]
    tree: tuple[LiveRow, ...]
    act_url: str = ""
    started: str = ""
    cancelled: str = ""
    may_cancel: bool = False
    may_terminate: bool = False
    words: str = ""
    statement: Link = NO_LINK
    request: Link = NO_LINK
    unread: Unread | None = None


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check: what it looks at, its limits, and how it stands."""

    anchor: str
    name: str
    rule: str
    state: str
    tone: str
    value: str
    since: str


@dataclass(frozen=True, slots=True)
class ChecksView:
    """What is checked and how, and what every number means."""

    rows: tuple[CheckRow, ...]
    meanings: tuple[tuple[str, str, str], ...]  # anchor, number, meaning


@dataclass(frozen=True, slots=True)
class TableRow:
    """One table's housekeeping."""

    name: Link
    rows: str
    more: str
    size: str
    indexes: str
    growth: str
    plot: Plot | None
    dead: str
    vacuumed: str
    analyzed: str
    key: str
    needs: str


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One index, and why it is worth a look."""

    name: str
    columns: str
    table: Link
    why: str
    size: str


@dataclass(frozen=True, slots=True)
class IndexesView:
    """Indexes that nobody reads, or whose work another one does as well."""

    rows: tuple[IndexRow, ...]
    sub: str
    unread: tuple[Unread, ...]
    more: str
    empty: str


@dataclass(frozen=True, slots=True)
class TablesView:
    """Sizes, growth, dead rows, last vacuum and analyze of each model; settings."""

    rows: tuple[TableRow, ...]
    settings: tuple[tuple[str, str], ...]
    unread: Unread | None
    sub: str
    facts: tuple[tuple[str, str], ...] = ()
    growth_head: str = "Growth"
    growth_unread: Unread | None = None
    # None where the database does not count who reads an index.
    indexes: IndexesView | None = None


@dataclass(frozen=True, slots=True)
class FindingsView:
    """Everything that was found, the dearest first."""

    rows: tuple[FindingRow, ...]
    empty: str
