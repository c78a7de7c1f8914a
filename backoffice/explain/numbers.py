"""How are counts, shares, times and sizes of a plan said? Plain English, short."""

NBSP = "\N{NO-BREAK SPACE}"
_KILO = 1024
# Less than the planner itself writes down.
LEAST = 0.005


def count(value: float) -> str:
    """A number of rows: 1,284; a part of one counts as one digit behind the point."""
    if 0 < value < LEAST:
        return "0"
    if 0 < value < 1:
        return f"{value:.1g}"
    return f"{value:,.0f}"


def percent(share: float) -> str:
    """A share: 91 %, 99.7 %, less than 1 %."""
    value = share * 100
    if 0 < value < 1:
        return f"less than 1{NBSP}%"
    if 99 < value < 100:  # noqa: PLR2004
        return f"{min(value, 99.9):.1f}{NBSP}%"
    return f"{value:.0f}{NBSP}%"


def milliseconds(value: float) -> str:
    """A time: 0.04 ms, 12 ms, 1,243 ms, 12.4 s."""
    if value >= 10_000:  # noqa: PLR2004
        return f"{value / 1000:,.1f}{NBSP}s"
    if value >= 10:  # noqa: PLR2004
        return f"{value:,.0f}{NBSP}ms"
    return f"{value:.2g}{NBSP}ms"


def kilobytes(value: float) -> str:
    """A size that is given in kB: 640 kB, 18.4 MB."""
    for unit, name in ((_KILO**2, "GB"), (_KILO, "MB")):
        if value >= unit:
            return f"{value / unit:,.1f}{NBSP}{name}"
    return f"{value:,.0f}{NBSP}kB"


def pages(value: float) -> str:
    """Pages of 8 kB with their size: 61,728 pages (482 MB)."""
    noun = "page" if value == 1 else "pages"
    return f"{value:,.0f} {noun} ({kilobytes(value * 8)})"


def times(factor: float) -> str:
    """How many times as much: 40 times, 1.4 times."""
    return f"{factor:,.0f} times" if factor >= 10 else f"{factor:.1f} times"  # noqa: PLR2004


def series(words: list[str], last: str = "and") -> str:
    """Words in a row: a, b and c."""
    *others, end = words or [""]
    return f"{', '.join(others)} {last} {end}" if others else end
