"""Models that nobody made for us: what their columns are called and what they hold."""

from datetime import date

import pytest

from backoffice.admin.checks import check_views
from backoffice.admin.own_names import KEY, WRITTEN
from tests.lab import Gate, Sheet, Slot, Team, Worker
from tests.office import Office

DOCUMENTS = [
    None,
    "null",
    "[]",
    "0",
    "false",
    '""',
    "{}",
    '{"joy": 0.10, "anger": 1e-7}',
    '{"n": 12345678901234567890.123456789}',
    '{"ä": "\\n\\t☃", "b": [null, true]}',
    '"\\r\\n"',
]

# Names that forms and addresses had for things of their own.
NAMES = ("csrf", "state", "then", "do", "set", "next", "worker__key", "worker__for")


def test_columns_called_as_our_own_fields_are_saved_as_typed(lab: Office) -> None:
    """A model may have columns called `csrf`, `state`, `then` or `worker__key`."""
    with lab.session() as session:
        worker = Worker(name="Wim")
        session.add(worker)
        session.commit()
    browser = lab.browser("editor")
    form = browser.get("/admin/lab-sheet/create")
    typed = {name: f"my {name}" for name in NAMES}
    sent = {**typed, "page": "7", "worker": "Wim", f"worker{KEY}": ""}
    assert browser.submit(form, sent).status == 303
    key = lab.value("SELECT max(id) FROM lab_sheets")
    form = browser.get(f"/admin/lab-sheet/edit/{key}")
    assert form.form().value("state") == "my state"
    again = {name: f"your {name}" for name in NAMES}
    assert browser.submit(form, again).location.startswith("/admin/lab-sheet/list")
    sheet = lab.read(Sheet, key)
    assert [getattr(sheet, name) for name in NAMES] == list(again.values())
    assert (sheet.page, sheet.worker_id) == (7, worker.id)


def test_both_versions_of_columns_called_as_our_own_are_merged(lab: Office) -> None:
    """Written together means the field, not a column called `state__written`."""
    with lab.session() as session:
        sheet = Sheet(csrf="a", state="a", then="a", state__written="a")
        session.add(sheet)
        session.commit()
    browser, other = lab.browser("editor"), lab.browser("admin")
    path = f"/admin/lab-sheet/edit/{sheet.id}"
    mine, theirs = browser.get(path), other.get(path)
    other.submit(theirs, {"state": "b", "state__written": "b", "then": "b"})
    conflict = browser.submit(mine, {"state": "c", "state__written": "c", "csrf": "c"})
    chosen = {
        "choose:state": "written",
        f"{WRITTEN}state": "both",
        "choose:state__written": "mine",
    }
    assert browser.submit(conflict, chosen).status == 303
    found = lab.read(Sheet, sheet.id)
    assert (found.state, found.state__written) == ("both", "c")
    assert (found.csrf, found.then) == ("c", "b")


def test_words_of_a_list_fill_no_field_of_a_new_record(lab: Office) -> None:
    """The list's page number comes along to the form, and is no value of a column."""
    browser = lab.browser("editor")
    form = browser.get("/admin/lab-sheet/create?page=3&sortBy=csrf&csrf=preset").form()
    assert (form.value("page"), form.value("csrf")) == ("", "preset")


def test_records_of_both_sides_of_a_table_of_pairs_are_listed(lab: Office) -> None:
    """Who is in a team stands on its page; a new one, in no pair, is not offered."""
    with lab.session() as session:
        team = Team(name="Night shift", workers=[Worker(name="Pair"), Worker(name="Q")])
        session.add(team)
        session.commit()
    browser = lab.browser("admin")
    page = browser.get(f"/admin/lab-team/details/{team.id}")
    assert ["Q"] in [row[:1] for row in page.rows]
    assert "New worker" not in [label for label, _ in page.page.links]
    key = lab.value("SELECT id FROM lab_workers WHERE name = 'Pair'")
    assert "Night shift" in browser.get(f"/admin/lab-worker/details/{key}").text


def test_what_refers_by_two_columns_starts_out_with_both(lab: Office) -> None:
    """A new booking of a slot begins with the slot's day and room."""
    with lab.session() as session:
        session.add(Slot(day=date(2026, 5, 4), room="A&B"))
        session.commit()
    browser = lab.browser("editor")
    slot = browser.get("/admin/lab-slot/details/2026-05-04;A%26B")
    form = browser.get(slot.link("New booking"))
    assert form.form().value("day") == "2026-05-04"
    assert form.form().value("room") == "A&B"
    assert browser.submit(form, {"person": "Ann"}).status == 303
    seen = browser.get("/admin/lab-slot/details/2026-05-04;A%26B")
    assert "Ann" in [text for row in seen.rows for text in row]


# Name, began, at, clock and length, as PostgreSQL writes what Python has no value for.
ERAS = (
    ("Rome", "0044-03-15 BC", "0044-03-15 10:00:00+00 BC", "24:00:00", "3 days"),
    ("Now", "2026-01-02", "2026-01-02 10:00:00+00", "10:00:00", "1 day"),
    ("Then", "20000-01-01", "20000-01-01 00:00:00+00", "23:59:59", "2000000000 days"),
    ("End", "infinity", "infinity", "10:00:00", "1 day"),
)
ERA = (
    "INSERT INTO lab_eras (name, began, at, clock, length) VALUES (:n, :b, :a, :c, :l)"
)


@pytest.fixture(scope="module")
def eras(lab: Office) -> dict[str, int]:
    """The keys of the eras by their names."""
    for values in ERAS:
        lab.run(ERA, **dict(zip("nbacl", values, strict=True)))
    return dict(lab.values("SELECT name, id FROM lab_eras"))


def test_dates_that_python_does_not_know_are_shown_as_texts(
    lab: Office, eras: dict[str, int]
) -> None:
    """List, details and CSV show `infinity`, the year 20000, and before Christ."""
    browser = lab.browser("editor")
    for name, key in eras.items():
        seen = browser.get(f"/admin/lab-era/details/{key}")
        assert seen.status == 200
        if name != "Now":
            began = next(era[1] for era in ERAS if era[0] == name)
            assert began in seen.text
    assert (
        "2000000000 days" in browser.get(f"/admin/lab-era/details/{eras['Then']}").text
    )
    assert "0044-03-15 BC" in browser.get("/admin/lab-era/list").text
    assert "infinity" in browser.get("/admin/lab-era/export/csv").html


@pytest.mark.parametrize("column", ["began", "at"])
def test_pages_in_the_order_of_such_dates_miss_no_row(
    lab: Office, eras: dict[str, int], column: str
) -> None:
    """The next page begins after a date that is a text here, as the database has it."""
    browser = lab.browser("editor")
    url, names = f"/admin/lab-era/list?sortBy={column}&pageSize=1", []
    for _ in eras:
        seen = browser.get(url)
        names += [name for name in eras if name in seen.rows[0]]
        url = next((h for h in seen.hrefs() if "/list?" in h and "after=" in h), "")
    assert names == ["Rome", "Now", "Then", "End"]


def test_a_form_leaves_such_dates_as_they_are(
    lab: Office, eras: dict[str, int]
) -> None:
    """What was not touched is not written; what was is told with its old value."""
    browser, key = lab.browser("editor"), eras["End"]
    path = f"/admin/lab-era/edit/{key}"
    assert browser.submit(browser.get(path), {"name": "The End"}).status == 303
    row = lab.values("SELECT began::text, at::text FROM lab_eras WHERE id = :k", k=key)
    assert row == [("infinity", "infinity")]
    wrong = browser.submit(browser.get(path), {"began": "forever"})
    assert wrong.errors == {"began": "forever is not a date such as 2025-08-31."}
    assert browser.submit(browser.get(path), {"began": "2030-05-06"}).status == 303
    told = browser.get(f"/admin/lab-era/history/{key}").text
    assert "infinity" in told
    assert "2030" in told
    lab.run("UPDATE lab_eras SET began = 'infinity', name = 'End' WHERE id = :k", k=key)


def test_a_history_tells_an_earlier_record_of_the_same_key_apart(lab: Office) -> None:
    """A key may be used again: what was changed before is another record's."""
    browser = lab.browser("editor")
    new = "/admin/lab-parcel/create"
    ended = "Here an earlier record with this key ended"

    def create(note: str) -> None:
        form = browser.get(new)
        assert browser.submit(form, {"code": "R-1", "note": note}).status == 303

    def told(page: str) -> str:
        return browser.get(f"/admin/lab-parcel/{page}/R-1").text

    create("first")
    browser.submit(browser.get("/admin/lab-parcel/delete/R-1"))
    assert ended not in told("history")
    create("second")
    for page in ("history", "details", "edit"):
        assert ended in told(page).partition("second")[2]
    lab.run("DELETE FROM lab_parcels WHERE code = 'R-1'")
    create("third")
    assert told("history").count(ended) == 2
    browser.submit(browser.get("/admin/lab-parcel/delete/R-1"))
    lab.run("INSERT INTO lab_parcels (code, note) VALUES ('R-1', 'fourth')")
    form = browser.get("/admin/lab-parcel/edit/R-1")
    lab.run("UPDATE lab_parcels SET note = 'fifth' WHERE code = 'R-1'")
    conflict = browser.submit(form, {"note": "sixth"})
    assert "Somebody else saved this record" in conflict.text


def test_what_is_secret_by_its_name_is_shown_nowhere(lab: Office) -> None:
    """Not by default, and not where a view names it; what its column allows is."""
    with lab.session() as session:
        gate = Gate(name="East", api_key="hush1", passwordHash="hush2", etag_hash="ok")
        session.add(gate)
        session.commit()
    browser = lab.browser("admin")
    form = browser.get(f"/admin/lab-gate/edit/{gate.id}")
    assert browser.submit(form, {"api_key": "hush3", "name": "West"}).status == 303
    assert lab.read(Gate, gate.id).api_key == "hush3"
    pages = {
        path: browser.get(path).response.text
        for view in ("lab-gate", "lab-guard")
        for path in (
            f"/admin/{view}/list",
            f"/admin/{view}/details/{gate.id}",
            f"/admin/{view}/edit/{gate.id}",
            f"/admin/{view}/history/{gate.id}",
            f"/admin/{view}/export/csv",
        )
    }
    for path, text in pages.items():
        assert "hush" not in text, path
    searched = browser.get("/admin/lab-guard/list?search=hush3").text
    assert "No gate matches" in searched or "West" not in searched
    assert browser.get("/admin/lab-guard/list?api_key=hush3").status == 400
    assert browser.get("/admin/lab-guard/list?sortBy=api_key").status == 400
    assert browser.get("/admin/lab-gate/list?sortBy=api_key").status == 400
    assert "ok" in browser.get(f"/admin/lab-guard/details/{gate.id}").text


def test_a_view_that_names_a_secret_is_told(lab: Office) -> None:
    """It is left out, which its author would wonder about."""
    found = {one.text for one in check_views(lab.site) if one.id == "views.W004"}
    assert found == {
        f"lab-guard: {option} names {name}, which is secret; it is left out."
        for option, names in {
            "column_list": ["api_key", "passwordHash"],
            "column_details_list": ["api_key", "passwordHash"],
            "column_export_list": ["api_key", "passwordHash"],
            "column_searchable_list": ["api_key"],
            "column_sortable_list": ["api_key"],
        }.items()
        for name in names
    }


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_comes_back_as_it_was(lab: Office, document: str | None) -> None:
    """Saved untouched, and saved with another field changed."""
    with lab.session() as session:
        worker = Worker(name="Wendy")
        session.add(worker)
        session.commit()
    lab.run(
        "UPDATE lab_workers SET meta = CAST(:d AS jsonb) WHERE id = :k",
        d=document,
        k=worker.id,
    )
    whole = "SELECT to_jsonb(t) - 'badge' FROM lab_workers t WHERE id = :k"
    before = lab.value(whole, k=worker.id)
    null = "SELECT meta IS NULL FROM lab_workers WHERE id = :k"
    was_null = lab.value(null, k=worker.id)
    browser = lab.browser("editor")
    path = f"/admin/lab-boss/edit/{worker.id}"
    seen = browser.follow(browser.submit(browser.get(path)))
    assert seen.notes == ["Nothing was changed, so nothing is saved."]
    assert browser.submit(browser.get(path), {"name": "Wanda"}).status == 303
    assert lab.value(whole, k=worker.id) == {**before, "name": "Wanda"}
    assert lab.value(null, k=worker.id) is was_null
