"""Whatever a page of the demo sends can be explained, on each kind of server there is.

With the values it ran with, for any values, and by what its fingerprint remembers.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import URL, Engine, event, text

from backoffice.admin.actions import Does
from backoffice.admin.explaining import list_question
from backoffice.admin.explaining_calls import remembered
from backoffice.admin.model_view import ModelView
from backoffice.admin.own_names import DO, SET, TOKEN
from backoffice.explain.running_postgresql import explain
from backoffice.explain.statement import Caught, has_plan, without_values
from backoffice.listing.page import read_page
from backoffice.listing.params import parse_list
from backoffice.listing.spec import FilterKind
from backoffice.observability.fingerprints import fingerprint
from tests.browser import Browser, Seen
from tests.office import Office, opened

PG = "postgresql"
VIEWS = (
    "student",
    "report-card",
    "course",
    "enrollment",
    "school",
    "product",
    "order",
    "order-item",
    "customer",
    "author",
    "post",
    "comment",
    "text-analysis",
    "batch-analysis",
    "slow-log",
    "account",
)
FILTERED = {
    FilterKind.BOOLEAN: ("=true",),
    FilterKind.CHOICE: ("=active",),
    FilterKind.REFERENCE: ("=1",),
    FilterKind.NUMBER: ("=1", "__from=1"),
    FilterKind.DATE: ("__from=2020-01-01",),
    FilterKind.TEXT: ("=an",),
}
# What an action is told, and one field of each view to set for many.
TOLD = {"raise-prices": {"percent": "3"}}
FIELDS = {
    "report-card": {"english": "71"},
    "product": {"price": "12.34"},
    "order": {"status": "paid"},
}


@pytest.fixture(scope="module")
def office(each_office_url: URL, quick_passwords: None) -> Iterator[Office]:
    """The demo with some rows, on each kind of server."""
    with opened(each_office_url) as office:
        yield office


@contextmanager
def overheard(engine: Engine) -> Iterator[list[Caught]]:
    """What is sent meanwhile and has a plan: as it was sent, and as remembered."""
    found: list[Caught] = []

    def note(
        _c: Any,
        _cursor: Any,
        sent: str,
        values: Any,
        context: Any,
        many: bool,  # noqa: FBT001
    ) -> None:
        if not has_plan(sent) or many:
            return
        one = Caught("as sent", sent, values)
        found.extend([one, without_values(replace(one, title="any"), "", "", PG)])
        compiled = getattr(context, "compiled", None)
        kept = fingerprint(compiled.string if compiled is not None else sent)
        if " … (" not in kept.text:
            found.append(remembered(kept.id, kept.operation, kept.table, kept.text))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


# What was explained before need not be again.
DONE: defaultdict[Engine, set[tuple[str, str]]] = defaultdict(set)


def all_explained(office: Office, statements: list[Caught]) -> int:
    """How many different statements were explained; all of them were."""
    once = {(one.title, one.text): one for one in statements}
    new = [one for key, one in once.items() if key not in DONE[office.engine]]
    DONE[office.engine].update(once)
    answer = explain(office.backoffice.exports, new)
    refused = [(o.problem, o.caught.text) for o in answer.explained if o.problem]
    assert refused == []
    assert all(one.plan for one in answer.explained)
    return len(once)


def queries(office: Office, view: ModelView) -> Iterator[str]:
    """Query strings of a list: plain, searched, filtered, ordered, and further on."""
    spec = view.description.list_spec
    yield ""
    if spec.search:
        yield "search=an+12"
    for kind, one in {one.kind: one for one in spec.filters}.items():
        for suffix in FILTERED[kind]:
            name, _, value = f"{one.path}{suffix}".partition("=")
            if not parse_list(spec, [(name, value)], office.site.codec).problems:
                yield f"{name}={value}"
    for path in spec.sortable[:1]:
        yield f"sortBy={path}&sort=desc&page=2"
    first = parse_list(spec, [("pageSize", "10")], office.site.codec)
    with office.session() as session:
        following = read_page(session, spec, first, office.site.codec).next_query(first)
    if following is not None:
        yield urlencode(following.to_items())


def view_called(office: Office, identity: str) -> ModelView:
    """A view of the demo's."""
    view = office.site.view_called(identity)
    assert view is not None
    return view


def test_no_view_is_left_out(office: Office) -> None:
    """A view that the demo gets later belongs into the list above."""
    assert {v.identity for v in office.site.views if isinstance(v, ModelView)} == {
        *VIEWS
    }


@pytest.mark.parametrize("identity", VIEWS)
def test_every_statement_of_a_views_pages_is_explained(
    office: Office, identity: str
) -> None:
    """Of its list in any state, and what the footer knows of a visit."""
    view = view_called(office, identity)
    spec, codec = view.description.list_spec, office.site.codec
    caught = [
        one
        for query in queries(office, view)
        for one in list_question(office.engine, view, spec, codec, query).statements
    ]
    caught += [without_values(replace(o, title="any"), "", "", PG) for o in caught]
    browser = office.browser("admin")
    with overheard(office.engine) as sent:
        page = browser.get(
            f"/admin/{identity}/list{'?search=an' if spec.search else ''}"
        )
        assert page.status == 200
        links = [url for url, _ in page.page.links if "/details/" in url]
        for url in links[:1]:
            assert browser.get(url).status == 200
            browser.get(url.replace("/details/", "/edit/"))
    assert all_explained(office, [*caught, *sent]) > 1


def asked(browser: Browser, identity: str, name: str, key: str) -> Seen:
    """The page that an action shows first, for one record."""
    sent = {TOKEN: browser.token(), "action": name, "which": "ticked", "id": key}
    return browser.follow(browser.post(f"/admin/{identity}/actions", sent))


@pytest.mark.parametrize("identity", FIELDS)
def test_every_statement_of_an_action_is_explained(
    office: Office, identity: str
) -> None:
    """Before it runs, from its own page; and each statement of its run afterwards."""
    browser = office.browser("admin")
    view = view_called(office, identity)
    for name, spec in view.actions.items():
        if spec.does is Does.ANSWER:
            continue
        row = office.values(f"SELECT id FROM {view.description.table_name} LIMIT 1")
        with overheard(office.engine) as sent:
            page = asked(browser, identity, name, str(row[0][0]))
            told: dict[str, Any] = dict(TOLD.get(name, {}))
            if spec.does is Does.EDIT:
                told = {SET: list(FIELDS[identity]), **FIELDS[identity]}
            if told:
                page = browser.follow(browser.submit(page, told))
            (form,) = [f for f in page.page.forms if (DO, "explain") in pairs(f)]
            report = browser.follow(
                browser.post(form.action, {**form.data({}), DO: "explain"})
            )
            assert report.status == 200
            assert stored_problems(office) == []
            if (DO, "run") in pairs(form):
                browser.post(form.action, {**form.data({}), DO: "run"})
        assert all_explained(office, sent) > 1


def pairs(form: Any) -> set[tuple[str, str]]:
    """What a form's buttons send."""
    return {(name, value) for name, value, _ in form.buttons}


def stored_problems(office: Office) -> list[str]:
    """Why the newest report has no plan of a statement."""
    content = office.value(
        text("SELECT content FROM backoffice_explain_reports ORDER BY id DESC LIMIT 1")
    )
    return [one["problem"] for one in content["statements"] if one["problem"]]
