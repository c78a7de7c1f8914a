"""What did this page cost the database? The line at its foot, for who may see it."""

from backoffice.admin.call import address
from backoffice.admin.presentation import Cost, Statement
from backoffice.admin.words import duration, number, plural, shortened
from backoffice.explain.statement import has_plan
from backoffice.observability.request_log import RequestLog

# Stands for the time in all, which is known only when the page is drawn.
TOTAL = "\N{OBJECT REPLACEMENT CHARACTER}"
LONGEST = 160


def cost_of(log: RequestLog, base_url: str, *, may_explain: bool = False) -> Cost:
    """The request's statements until now; `with_total` puts the whole time in."""
    split = log.split()
    database = split.wait + split.execute + split.fetch + split.commit
    sentence = (
        f"{plural(log.number, 'statement')}, {duration(database / 1e3)} in the "
        f"database, {TOTAL} in all"
    )
    if split.wait >= 1:
        sentence += f"; {duration(split.wait / 1e3)} of it waiting for a connection"
    over = log.over_budget()
    if over is not None:
        sentence += f". Over its budget: {over.text}"
    statements = tuple(
        Statement(
            text=shortened(one.text, LONGEST),
            time=duration(one.ms / 1e3),
            rows=number(one.rows),
            repeats=f"{one.repeats} times" if one.repeats > 1 else "",
            url=address(base_url, "metrics", "statement", one.fingerprint),
            fingerprint=one.fingerprint if may_explain and has_plan(one.text) else "",
        )
        for one in log.folded()
    )
    if log.dropped:
        more = f"{plural(log.dropped, 'statement')} more"
        statements += (Statement(text=more, time="", rows=""),)
    url = address(base_url, "explain") if may_explain else ""
    page = address(base_url, "metrics", "request", log.request_id)
    return Cost(sentence, statements, url, log.request_id, page)


def with_total(html: str, log: RequestLog) -> str:
    """The drawn page with the time that it took, drawing included."""
    return html.replace(TOTAL, duration(log.elapsed / 1e9), 1)
