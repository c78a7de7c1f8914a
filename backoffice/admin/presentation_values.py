"""What do pages draw of the values that statements ran with? Plain data in words."""

from dataclasses import dataclass

from backoffice.admin.presentation import Hidden, Link, Moment


@dataclass(frozen=True, slots=True)
class ValuesRow:
    """One call: when, of which page, how long, and each value by its name."""

    at: Moment
    statement: Link
    place: str
    user: str
    ms: str
    values: tuple[tuple[str, str], ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ValuesView:
    """The calls whose values are known here, for who may see them.

    `empty` says why there are none; `sub` until when they are known.
    """

    rows: tuple[ValuesRow, ...]
    sub: str = ""
    empty: str = ""
    has_statements: bool = False


@dataclass(frozen=True, slots=True)
class ExplainForm:
    """A form of one button that explains a statement, and what it says beside it."""

    url: str
    hidden: tuple[Hidden, ...]
    words: str = ""
