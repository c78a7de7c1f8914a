"""What does a page of a list cost: next to the baseline's, and as the table grows?"""

import html
import re
from collections.abc import Iterator
from urllib.parse import urlencode

from benchmarks.jumps import deep_page
from benchmarks.pairs import Result, Timed, compared, in_turns
from benchmarks.servers import Server

LIST = "/admin/student/list"
CARDS = "/admin/report-card/list"
_CODE = re.compile(r"S20\d\d-\d+")
_ROW = re.compile(r'name="id" value=')
_NEXT = re.compile(r'href="([^"]+)" rel="next"')


def page(server: Server, path: str) -> Timed:
    """One request for this page."""

    def ask() -> float:
        answer = server.client.get(path)
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered by {answer.status}.")
        return answer.seconds

    return ask


def beside_stock(ours: Server, stock: Server, runs: int) -> Iterator[Result]:
    """The list page of 2,000 rows, ours and the baseline's."""
    one, other = page(ours, LIST), page(stock, LIST)
    yield compared("list of 2,000 rows, by stock", 0.36, in_turns(one, other, runs))


def as_it_grows(
    large: Server, small: Server, students: int, runs: int
) -> Iterator[Result]:
    """The same pages of millions of rows and of 2,000."""
    deep = deep_page(students, 50)
    codes = [search(code_on(server)) for server in (large, small)]
    pages = {
        "page 1": (LIST, LIST, 1.5),
        f"the page after page {deep:,}": (
            after(large, LIST, deep), after(small, LIST, 20), 1.5
        ),
        "sorted by name": (sorted_list(), sorted_list(), 1.5),
        "filtered by class": (f"{LIST}?class_name=12E", f"{LIST}?class_name=12E", 1.5),
        "report cards with the student's name": (CARDS, CARDS, 1.5),
        "search, a code": (codes[0], codes[1], 2),
        "search, a name": (search("hana"), as_full(small, "hana"), 2),
        "search, two words": (search("han sud"), as_full(small, "han sud"), 2),
        "search, a miss": (search("zzqxv"), search("zzqxv"), 2),
    }  # fmt: skip
    for name, (ours, other, bound) in pages.items():
        pair = in_turns(page(large, ours), page(small, other), runs)
        yield compared(f"{name}, by 2,000 rows", bound, pair)


def sorted_list() -> str:
    """The list by name."""
    return f"{LIST}?{urlencode({'sortBy': 'full_name', 'sort': 'asc'})}"


def search(words: str) -> str:
    """The list of what is found."""
    return f"{LIST}?{urlencode({'search': words})}"


def as_full(server: Server, words: str, rows: int = 50) -> str:
    """The same search on a small table, its words shortened until it fills a page.

    To draw 50 rows costs twice what none cost, and that is not the search's doing.
    """
    beginnings = words.split()
    while True:
        path = search(" ".join(beginnings))
        if len(_ROW.findall(server.client.get(path).text)) >= rows:
            return path
        longest = max(range(len(beginnings)), key=lambda at: len(beginnings[at]))
        if len(beginnings[longest]) == 1:
            raise RuntimeError(f"No beginning of {words!r} fills a page.")
        beginnings[longest] = beginnings[longest][:-1]


def code_on(server: Server) -> str:
    """A student's code, from the middle of the first page."""
    found = _CODE.findall(server.client.get(LIST).text)
    return str(found[len(found) // 2])


def after(server: Server, path: str, number: int) -> str:
    """The address of the page that follows this one, as its link has it."""
    seen = server.client.get(f"{path}?page={number}")
    found = _NEXT.search(seen.text)
    if seen.status != 200 or found is None:
        raise RuntimeError(f"Page {number} of {path} leads nowhere ({seen.status}).")
    return html.unescape(found[1])
