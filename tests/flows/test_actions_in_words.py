"""What actions change is told in names and words, before the click and after it."""

import pytest

from backoffice.admin import own_names as own
from models.school import School
from models.shop import Product
from tests.factories import make_product, make_school, make_student
from tests.flows.actions import (
    choose,
    few_at_once,  # noqa: F401 - a fixture
    products,
    raised,
    run_of,
)
from tests.office import Office


def test_a_reference_is_told_by_the_names_of_its_records(site: Office) -> None:
    """Not by keys, and not as an amount that grows."""
    old, new = (site.add(make_school, name=name).id for name in ("Old Hall", "Hill"))
    keys = [site.add(make_student, school_id=old, full_name="Ann Ash").id]
    browser = site.browser("editor")
    form = choose(browser, "student", "edit-selected", keys)
    told = {own.SET: ["school"], "school": "Hill", f"school{own.KEY}": str(new)}
    page = browser.follow(browser.submit(form, told))
    assert "School now School after Remark Ann Ash (" in page.text
    assert "Old Hall Hill What it touches" in page.text
    ran = browser.follow(browser.submit(page, button="Change 1 student"))
    assert "School Old Hall became Hill" in ran.text
    assert site.read(School, new).name == "Hill"


def test_a_deletion_shows_no_green_light(site: Office) -> None:
    """It is a warning, above records of which nothing is there after it."""
    key = site.add(make_product).id
    page = choose(site.browser("editor"), "product", "delete-selected", [key])
    assert '<div class="note warn verdict">' in page.html
    assert "Before and after" not in page.text


def test_of_many_fields_only_those_are_told_that_change(site: Office) -> None:
    """Three are set, one of them is so already."""
    key = site.add(make_student, class_name="9Z", guardian="Old", email=None).id
    browser = site.browser("editor")
    form = choose(browser, "student", "edit-selected", [key])
    told = {"class_name": "9Z", "guardian": "New", "email": "new@example.org"}
    page = browser.follow(browser.submit(form, {own.SET: [*told], **told}))
    assert "Guardian Old becomes New" in page.text
    assert "E-mail none becomes new@example.org" in page.text
    assert "Class 9Z becomes" not in page.text


def test_rows_that_changed_since_are_named_with_who_did_it(site: Office) -> None:
    """One changed by somebody, one deleted, one added: each by name."""
    for name in ("Lamp", "Desk"):
        site.add(make_product, name=name, category="Since")
    lamp, desk = (
        site.value(f"SELECT id FROM products WHERE name = '{name}'")
        for name in ("Lamp", "Desk")
    )
    browser, other = site.browser("editor"), site.browser("admin")
    page = raised(browser, None, "category=Since")
    other.submit(other.get(f"/admin/product/edit/{lamp}"), {"stock": "77"})
    site.run("DELETE FROM products WHERE id = :id", id=desk)
    site.add(make_product, name="Chair", category="Since")
    refused = browser.submit(page, button="Change 2 products")
    assert refused.status == 409
    assert "Lamp Changed Ada Admin" in refused.text
    assert "Chair Came to it not known" in refused.text
    assert f"{desk} Not among them any more not known" in refused.text
    assert site.read(Product, lamp).stock == 77


def test_rows_that_a_run_left_alone_are_named(site: Office) -> None:
    """Also those whose name is no column of their own table."""
    keys = products(site, "10.00", "99999999.00")
    site.run("UPDATE products SET name = 'Too dear' WHERE id = :id", id=keys[1])
    browser = site.browser("editor")
    page = raised(browser, keys)
    ran = browser.follow(browser.submit(page, button="Change 1 product"))
    assert "Too dear" in ran.text
    assert "Price 10.00 became 11.00" in ran.text


@pytest.mark.usefixtures("few_at_once")
def test_of_many_rows_those_are_named_that_were_written_since(site: Office) -> None:
    """No version of each is kept; what changed or came to it is told all the same."""
    products(site, *["10.00"] * 4, category="Written")
    lamp = site.add(make_product, name="Lamp W", category="Written").id
    browser, other = site.browser("editor"), site.browser("admin")
    page = raised(browser, None, "category=Written")
    other.submit(other.get(f"/admin/product/edit/{lamp}"), {"stock": "78"})
    site.add(make_product, name="Chair W", category="Written")
    refused = browser.submit(page, button="Change 5 products")
    assert refused.status == 409
    assert "5 then, 6 now" in refused.text
    assert "Lamp W Changed or new Ada Admin" in refused.text
    assert "Chair W Changed or new not known" in refused.text
    assert refused.text.count("Changed or new") == 2


def test_an_undo_is_told_in_a_sentence_and_its_sql_is_folded(site: Office) -> None:
    """On the page before it and on its run; an undo of it has a short name, too."""
    key = site.add(make_student, class_name="9Z", guardian="Old").id
    browser = site.browser("editor")
    form = choose(browser, "student", "edit-selected", [key])
    told = {"class_name": "9A", "guardian": "New"}
    page = browser.follow(browser.submit(form, {own.SET: [*told], **told}))
    ran = browser.submit(page, button="Change 1 student")
    undo = browser.follow(browser.submit(browser.follow(ran), button="Undo…"))
    sentence = "Each row gets its old class and guardian back, as the history has it."
    assert sentence in undo.text
    before, _, sql = undo.html.partition("What is set, as SQL")
    assert before.endswith('<details class="fold"><summary>')
    assert "UPDATE" in sql
    done = browser.submit(undo, button="Give back 1 student")
    seen = browser.follow(done)
    number = run_of(ran)
    assert f"its old class and guardian of before run {number}" in seen.text
    again = browser.follow(browser.submit(seen, button="Undo…"))
    assert f"Undo run {run_of(done)}, the undo of run {number}" in again.text
    assert f"1 record changed by run {run_of(done)} " in again.text
