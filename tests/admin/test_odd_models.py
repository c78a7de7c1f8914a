"""Models that nobody made for us: what their columns are called and what they hold."""

from backoffice.admin.own_names import KEY, WRITTEN
from tests.lab import Sheet, Worker
from tests.office import Office

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
