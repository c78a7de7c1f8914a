"""What does a save cost, with its audit and its look for a stale form?"""

import re
from collections.abc import Iterator
from itertools import count

from benchmarks.client import hidden
from benchmarks.pairs import Result, compared, in_turns
from benchmarks.servers import Server

EDIT = "/admin/student/edit/{}"
_INPUT = re.compile(r"<input\b[^>]*>")
_SELECT = re.compile(r'<select\b[^>]*name="([^"]+)".*?</select>', re.DOTALL)
_CHOSEN = re.compile(r'<option (?:selected value="([^"]*)"|value="([^"]*)" selected)')


def save(ours: Server, stock: Server, runs: int) -> Iterator[Result]:
    """Sending a form in which one field was changed, ours and the baseline's."""
    pair = in_turns(Saving(ours, 100).once, Saving(stock, 100).once, runs)
    yield compared("save with audit, by stock's without", 1.2, pair)


class Saving:
    """Open a form, change the guardian, send it; only the sending is timed."""

    def __init__(self, server: Server, first: int) -> None:
        self.server = server
        self.keys = count(first)
        self.marks = count(1)

    def once(self) -> float:
        """One save of another record than before."""
        path = EDIT.format(100 + next(self.keys) % 1000)
        seen = self.server.client.get(path)
        fields = {**hidden(seen.text), **form_of(seen.text)}
        fields["guardian"] = f"Guardian {self.server.name} {next(self.marks)}"
        sent = self.server.client.post(path, fields)
        if sent.status not in {302, 303} or "/edit/" in sent.headers["location"]:
            raise RuntimeError(f"The save was answered by {sent.status}.")
        return sent.seconds


def form_of(page: str) -> dict[str, str]:
    """What a browser would send of a page's form."""
    import html

    found: dict[str, str] = {}
    for tag in _INPUT.findall(page):
        known = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        kind = known.get("type", "text")
        if "name" not in known or kind in {"submit", "checkbox", "radio", "search"}:
            continue
        found[known["name"]] = html.unescape(known.get("value", ""))
    for select in _SELECT.finditer(page):
        chosen = _CHOSEN.search(select[0])
        if chosen:
            found[select[1]] = html.unescape(chosen[1] or chosen[2] or "")
    return found
