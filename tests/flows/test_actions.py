"""Many records at once, as staff meet it: chosen, tried, run, told of, taken back."""

import json
import os
from decimal import Decimal

import pytest
from sqlalchemy import select

from backoffice.admin.own_names import DO, SET, TOKEN
from backoffice.bulk.models import Run, RunRow
from backoffice.observability.health import Pulse
from backoffice.observability.ops_connection import OpsReader, make_ops_engine
from backoffice.observability.snapshots import process_start
from backoffice.settings import DatabaseSettings
from models.publishing import Author
from models.school import ReportCard, Student
from models.shop import Order, Product
from tests.factories import (
    make_author,
    make_order,
    make_order_item,
    make_product,
    make_report_card,
    make_student,
)
from tests.flows.actions import (
    choose,
    entries,
    few_at_once,  # noqa: F401 - a fixture
    price,
    products,
    queued,
    raised,
    run_of,
)
from tests.office import Office, opened


def test_a_preflight_shows_before_and_after_and_changes_nothing(site: Office) -> None:
    """The page tells each row now and then; the rows keep even their version."""
    keys = products(site, "10.00", "20.00")
    version = site.values(f"SELECT id, xmin FROM products WHERE id IN {tuple(keys)}")
    page = raised(site.browser("editor"), keys)
    assert page.heading == "Raise prices by 10 %"
    assert "2 products will change." in page.text
    assert "10.00 11.00 +1.00" in page.text
    assert "products_touch" in page.text
    after = site.values(f"SELECT id, xmin FROM products WHERE id IN {tuple(keys)}")
    assert sorted(after) == sorted(version)


def test_confirming_runs_what_was_shown_with_an_entry_for_each(site: Office) -> None:
    """Old and new of each row stand in the audit, under the run and the person."""
    keys = products(site, "10.00", "20.00")
    browser = site.browser("editor")
    run = run_of(browser.submit(raised(browser, keys), button="Change 2 products"))
    assert [price(site, key) for key in keys] == [Decimal("11.00"), Decimal("22.00")]
    written = entries(site, run)
    assert {entry.key: entry.changes for entry in written} == {
        str(keys[0]): {"price": ["10.00", "11.00"]},
        str(keys[1]): {"price": ["20.00", "22.00"]},
    }
    assert {entry.actor_label for entry in written} == {"Emil Editor"}


def test_a_run_is_taken_back(site: Office) -> None:
    """Undo shows what it gives back, gives it back, and can itself be taken back."""
    keys = products(site, "10.00", "20.00")
    browser = site.browser("editor")
    ran = browser.submit(raised(browser, keys), button="Change 2 products")
    undo = browser.follow(browser.submit(browser.follow(ran), button="Undo…"))
    assert "2 products will get their old values back." in undo.text
    undone = browser.submit(undo, button="Give back 2 products")
    assert [price(site, key) for key in keys] == [Decimal("10.00"), Decimal("20.00")]
    page = browser.follow(undone)
    again = browser.follow(browser.submit(page, button="Undo…"))
    browser.submit(again, button="Give back 2 products")
    assert [price(site, key) for key in keys] == [Decimal("11.00"), Decimal("22.00")]


def test_undo_leaves_alone_what_somebody_changed_since(site: Office) -> None:
    """Such a row is named, keeps its newer value, and stands in the run's list."""
    keys = products(site, "10.00", "20.00")
    browser = site.browser("editor")
    ran = browser.submit(raised(browser, keys), button="Change 2 products")
    site.run("UPDATE products SET price = 99 WHERE id = :id", id=keys[1])
    undo = browser.follow(browser.submit(browser.follow(ran), button="Undo…"))
    assert "1 was changed since and will be left alone" in undo.text
    done = browser.submit(undo, button="Give back 1 product")
    assert [price(site, key) for key in keys] == [Decimal("10.00"), Decimal("99.00")]
    assert "Somebody changed it meanwhile." in browser.follow(done).text


def test_rows_that_changed_since_they_were_shown_stop_the_run(site: Office) -> None:
    """The confirmation is refused with 409, nothing is changed, the drift is told."""
    keys = products(site, "10.00", "20.00")
    browser = site.browser("editor")
    page = raised(browser, keys)
    site.run("UPDATE products SET stock = stock + 1 WHERE id = :id", id=keys[0])
    refused = browser.submit(page, button="Change 2 products")
    assert refused.status == 409
    assert "1 was changed since. Nothing was run." in refused.text
    assert price(site, keys[0]) == Decimal("10.00")


def test_what_has_drifted_is_told_until_something_else_is_asked(site: Office) -> None:
    """Who looks at the rows and comes back; not who takes rows out, or tells anew."""
    keys = products(site, "10.00", "20.00")
    browser = site.browser("editor")
    page = raised(browser, keys)
    site.run("UPDATE products SET stock = stock + 1 WHERE id = :id", id=keys[0])
    refused = browser.submit(page, button="Change 2 products")
    address = str(refused.response.url)

    for _ in range(2):
        again = browser.get(address)
        assert again.status == 200
        assert "1 was changed since. Nothing was run." in again.text
        assert "What has changed since" in again.text
    browser.submit(again, {"row": [str(keys[0])], DO: "exclude"})
    assert "What has changed since" not in browser.get(address).text


def test_rows_that_came_to_match_since_stop_the_run(site: Office) -> None:
    """All that match is not more than what was shown."""
    products(site, "10.00", category="Drift")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Drift")
    products(site, "30.00", category="Drift")
    refused = browser.submit(page, button="Change 1 product")
    assert refused.status == 409
    assert "1 was added since" in refused.text
    assert site.value("SELECT sum(price) FROM products WHERE category = 'Drift'") == 40


def test_the_same_confirmation_twice_is_one_run(site: Office) -> None:
    """A double click, or Back and again, leads to the run that there is."""
    keys = products(site, "10.00")
    browser = site.browser("editor")
    page = raised(browser, keys)
    first = browser.submit(page, button="Change 1 product")
    second = browser.submit(page, button="Change 1 product")
    assert run_of(first) == run_of(second)
    assert price(site, keys[0]) == Decimal("11.00")


def test_a_row_that_would_be_refused_is_named_and_left_out(site: Office) -> None:
    """The rule's own sentence stands at its row; the others run."""
    keys = products(site, "10.00", "99999999.00", "20.00")
    browser = site.browser("editor")
    page = raised(browser, keys)
    assert "1 is refused and will be left out" in page.text
    assert "Refused:" in page.text
    ran = browser.submit(page, button="Change 2 products")
    assert [price(site, key) for key in keys] == [
        Decimal("11.00"),
        Decimal("99999999.00"),
        Decimal("22.00"),
    ]
    with site.session() as session:
        left = session.scalars(select(RunRow).where(RunRow.run_id == run_of(ran))).all()
    assert [(row.key, row.state) for row in left] == [(str(keys[1]), "refused")]


def test_a_row_that_is_taken_out_is_left_alone(site: Office) -> None:
    """Unticking a row of the sample excludes it from the run."""
    keys = products(site, "10.00", "20.00")
    browser = site.browser("editor")
    page = raised(browser, keys)
    browser.submit(page, {"row": [str(keys[0])]}, button="Change 2 products")
    assert [price(site, key) for key in keys] == [Decimal("11.00"), Decimal("20.00")]


def test_nothing_ticked_is_told(site: Office) -> None:
    """Without a ticked row nothing happens but a sentence on the list."""
    page = choose(site.browser("editor"), "product", "raise-prices", [])
    assert page.heading == "Products"
    assert any("No products are ticked" in note for note in page.notes)


def test_a_bad_filter_never_becomes_all_rows(site: Office) -> None:
    """A query with a mistake in it is told and chooses nothing."""
    page = choose(site.browser("editor"), "product", "raise-prices", None, "price=x")
    assert page.heading != "Raise prices"
    page = choose(site.browser("editor"), "product", "raise-prices", None, "nope=1")
    assert page.heading != "Raise prices"


def test_a_wrong_parameter_is_told_at_its_field(site: Office) -> None:
    """What was typed stays, and nothing is tried."""
    browser = site.browser("editor")
    asked = choose(browser, "product", "raise-prices", products(site, "10.00"))
    refused = browser.submit(asked, {"percent": "much"})
    assert refused.status == 400
    assert "percent" in refused.errors
    assert "1000 is more than 900" in browser.submit(asked, {"percent": "1000"}).text


def test_a_viewer_is_offered_no_action_and_refused_one(site: Office) -> None:
    """There is no bar above the list, and the address itself says no."""
    browser = site.browser("viewer")
    assert "Choose an action" not in browser.get("/admin/product/list").text
    sent = {TOKEN: browser.token(), "action": "raise-prices", "id": "1"}
    assert browser.post("/admin/product/actions", sent).status == 403


def test_a_selection_is_its_persons_alone(site: Office) -> None:
    """Somebody else's token finds nothing."""
    browser = site.browser("editor")
    asked = choose(browser, "product", "raise-prices", products(site, "10.00"))
    url = str(asked.response.url)
    assert site.browser("admin").get(url).status == 404


def test_fields_of_many_records_are_edited_at_once(site: Office) -> None:
    """Only the ticked fields are set, on every chosen record."""
    students = [site.add(make_student, class_name="7A") for _ in range(2)]
    keys = [student.id for student in students]
    browser = site.browser("editor")
    form = choose(browser, "student", "edit-selected", keys)
    told = browser.submit(
        form, {SET: ["class_name"], "class_name": "9Z", "guardian": "Nobody"}
    )
    page = browser.follow(told)
    assert "2 students will change." in page.text
    browser.submit(page, button="Change 2 students")
    found = [site.read(Student, key) for key in keys]
    assert [student.class_name for student in found] == ["9Z", "9Z"]
    assert {student.guardian for student in found} == {s.guardian for s in students}


def test_an_edit_without_a_ticked_field_is_refused(site: Office) -> None:
    """The page says what to do and tries nothing."""
    browser = site.browser("editor")
    form = choose(browser, "student", "edit-selected", [site.add(make_student).id])
    refused = browser.submit(form, {"class_name": "9Z"})
    assert refused.status == 400
    assert "Tick at least one field to change." in refused.text


def test_many_records_are_deleted_with_what_hangs_on_them(site: Office) -> None:
    """The preflight counts the children of other tables; the run deletes them too."""
    students = [site.add(make_student).id for _ in range(2)]
    for key in students:
        site.add(make_report_card, student_id=key)
    browser = site.browser("editor")
    page = choose(browser, "student", "delete-selected", students)
    assert "2 students will be deleted." in page.text
    assert "Report cards 2 deleted" in page.text
    # The bar would lie over the box that has to be ticked.
    assert "savebar" in page.html
    assert "savebar stick" not in page.html
    assert [site.read(Student, key) is not None for key in students] == [True, True]
    ran = browser.submit(page, {"sure": "yes"}, button="Delete 2 students")
    assert [site.read(Student, key) for key in students] == [None, None]
    cards = select(ReportCard).where(ReportCard.student_id.in_(students))
    assert site.value(cards) is None
    assert len(entries(site, run_of(ran))) == 4


def test_a_record_that_is_still_used_is_left_out_of_the_deletion(site: Office) -> None:
    """A product that was ordered stays and says why; the other one goes."""
    line = site.add(make_order_item)
    free = site.add(make_product)
    browser = site.browser("editor")
    page = choose(browser, "product", "delete-selected", [line.product_id, free.id])
    assert "Still used by 1 order item" in page.text
    browser.submit(page, {"sure": "yes"}, button="Delete 1 product")
    assert site.read(Product, line.product_id) is not None
    assert site.read(Product, free.id) is None


def test_where_all_are_refused_nothing_else_is_said(site: Office) -> None:
    """Not that 0 of them will be deleted, and that the one was tried, as one."""
    line = site.add(make_order_item)
    page = choose(
        site.browser("editor"), "product", "delete-selected", [line.product_id]
    )
    assert "Nothing would change. 1 is refused and will be left out." in page.text
    assert "for 1 record these were sent" in page.text


def test_orders_are_cancelled_and_their_stock_comes_back(site: Office) -> None:
    """A function on each record: shipped ones are refused, cancelled ones stay."""
    product = site.add(make_product, stock=5)
    placed = site.add(make_order, status="placed")
    shipped = site.add(make_order, status="shipped")
    for order in (placed, shipped):
        site.add(make_order_item, order_id=order.id, product_id=product.id, quantity=3)
    browser = site.browser("editor")
    name = "cancel"
    page = choose(browser, "order", name, [placed.id, shipped.id])
    assert "1 order will change" in page.text
    assert "It was shipped" in page.text
    assert "Products 1 changed" in page.text
    assert site.read(Product, product.id).stock == 5
    browser.submit(page, button="Cancel 1 order")
    assert site.read(Order, placed.id).status == "cancelled"
    assert site.read(Order, shipped.id).status == "shipped"
    assert site.read(Product, product.id).stock == 8


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("placed", "cancelled", 'Use the action "Cancel and give the stock back".'),
        ("cancelled", "placed", "Its stock was given back; place a new order."),
    ],
)
def test_a_form_cancels_no_order(
    site: Office, before: str, after: str, told: str
) -> None:
    """The stock would not come back, or not be taken; the action sees to that."""
    order = site.add(make_order, status=before)
    browser = site.browser("editor")
    form = browser.get(f"/admin/order/edit/{order.id}")
    assert told in browser.submit(form, {"status": after}).text
    assert site.read(Order, order.id).status == before
    if before == "placed":
        browser.submit(form, {"status": "shipped"})
        assert site.read(Order, order.id).status == "shipped"


def test_an_action_stands_on_the_record_itself(site: Office) -> None:
    """Cancelling one order from its details leads to the same preflight."""
    order = site.add(make_order, status="placed")
    browser = site.browser("editor")
    details = browser.get(f"/admin/order/details/{order.id}")
    page = browser.follow(
        browser.submit(
            details,
            action="/admin/order/actions",
            button="Cancel and give the stock back",
        )
    )
    assert "1 order will change." in page.text


def test_what_is_so_already_stays_untouched(site: Office) -> None:
    """A row that would not change is counted, and keeps its version."""
    keys = [site.add(make_author, is_active=active).id for active in (True, False)]
    version = site.value("SELECT xmin FROM authors WHERE id = :id", id=keys[1])
    browser = site.browser("editor")
    page = choose(browser, "author", "deactivate", keys)
    assert "1 author will change and 1 stays as it is." in page.text
    browser.submit(page, button="Change 1 author")
    assert site.read(Author, keys[0]).is_active is False
    assert site.value("SELECT xmin FROM authors WHERE id = :id", id=keys[1]) == version


def test_runs_are_listed_and_seen_by_who_may(site: Office) -> None:
    """An editor sees their own, an administrator everybody's, a viewer none."""
    browser = site.browser("editor")
    keys = products(site, "10.00")
    ran = browser.submit(raised(browser, keys), button="Change 1 product")
    number = run_of(ran)
    assert f"{number}: Raise prices by 10 %" in browser.get("/admin/runs").text
    assert site.browser("admin").get(f"/admin/runs/{number}").status == 200
    assert site.browser("viewer").get(f"/admin/runs/{number}").status == 403
    assert site.browser("admin").get("/admin/runs/999999").status == 404


# More rows than one transaction should hold


@pytest.mark.usefixtures("few_at_once")
def test_a_large_selection_is_run_by_the_worker(site: Office) -> None:
    """It waits, is done batch by batch, and each row is met once."""
    keys = products(site, *["10.00"] * 7, category="Many")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Many")
    ran = browser.submit(page, button="Change 7 products")
    waiting = browser.follow(ran)
    assert "Waiting for a worker: 7 products are to be changed." in waiting.text
    assert price(site, keys[0]) == Decimal("10.00")
    assert site.site.worker.run_all() == 3
    assert {price(site, key) for key in keys} == {Decimal("11.00")}
    done = browser.get(f"/admin/runs/{run_of(ran)}")
    assert "7 products were changed." in done.text
    assert len(entries(site, run_of(ran))) == 7


@pytest.mark.usefixtures("few_at_once")
def test_an_action_that_changes_the_filtered_column_meets_every_row(
    site: Office,
) -> None:
    """What the list was filtered by is what is set, and no row is skipped."""
    keys = products(site, *["10.00"] * 7, category="Before")
    browser = site.browser("editor")
    form = choose(browser, "product", "edit-selected", None, "category=Before")
    told = browser.submit(form, {SET: ["category"], "category": "After"})
    page = browser.follow(told)
    browser.submit(page, button="Change 7 products")
    site.site.worker.run_all()
    assert {site.read(Product, key).category for key in keys} == {"After"}


@pytest.mark.usefixtures("few_at_once")
def test_a_row_that_changed_after_the_confirmation_is_left_alone(site: Office) -> None:
    """The run changes the others and lists this one."""
    keys = products(site, *["10.00"] * 5, category="Late")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Late")
    ran = browser.submit(page, button="Change 5 products")
    site.run("UPDATE products SET price = 77 WHERE id = :id", id=keys[2])
    site.site.worker.run_all()
    assert price(site, keys[2]) == Decimal("77.00")
    assert price(site, keys[4]) == Decimal("11.00")
    done = browser.get(f"/admin/runs/{run_of(ran)}")
    assert "4 products were changed and 1 was left alone." in done.text
    assert "Somebody changed it meanwhile." in done.text


@pytest.mark.usefixtures("few_at_once")
def test_a_run_is_paused_resumed_and_cancelled(site: Office) -> None:
    """Each wish holds from the next batch on; what was changed stays changed."""
    products(site, *["10.00"] * 5, category="Slow")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Slow")
    ran = browser.submit(page, button="Change 5 products")
    url = ran.location
    browser.submit(browser.get(url), button="Pause")
    site.site.worker.run_all()
    paused = browser.get(url)
    assert "Paused: 5 products are to be changed." in paused.text
    assert queued(site) == []
    browser.submit(paused, button="Go on")
    assert queued(site) == [str(run_of(ran))]
    unasked = browser.get(url)
    assert "They can be given back afterwards." in unasked.text
    browser.submit(unasked, button="Cancel the rest")
    assert "To be cancelled after this batch." in browser.get(url).text
    site.site.worker.run_all()
    with site.session() as session:
        run = session.get(Run, run_of(ran))
        assert run is not None
        assert run.state == "cancelled"
    assert site.value("SELECT sum(price) FROM products WHERE category = 'Slow'") == 50


@pytest.mark.usefixtures("few_at_once")
def test_who_cancels_a_deletion_is_promised_nothing_back(site: Office) -> None:
    """What is deleted stays so, and the run's page says it before the click."""
    keys = products(site, *["10.00"] * 5, category="Gone")
    browser = site.browser("editor")
    page = choose(browser, "product", "delete-selected", keys)
    ran = browser.submit(page, {"sure": "yes"}, button="Delete up to 5 products")
    seen = browser.get(ran.location).text
    assert "what was done cannot be undone: 0 rows." in seen
    assert "given back" not in seen
    site.site.worker.run_all()
    assert "5 products were deleted." in browser.get(ran.location).text


@pytest.mark.usefixtures("few_at_once")
def test_the_same_confirmation_twice_is_one_run_and_one_job(site: Office) -> None:
    """A double click on what is run later queues it once."""
    keys = products(site, *["10.00"] * 5, category="Double")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Double")
    first = browser.submit(page, button="Change 5 products")
    second = browser.submit(page, button="Change 5 products")
    assert run_of(first) == run_of(second)
    assert queued(site) == [str(run_of(first))]
    site.site.worker.run_all()
    assert {price(site, key) for key in keys} == {Decimal("11.00")}


@pytest.mark.usefixtures("few_at_once")
def test_a_run_that_is_refused_queues_nothing(site: Office) -> None:
    """Neither run nor job is left of a confirmation that came too late."""
    products(site, *["10.00"] * 5, category="Refused")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Refused")
    products(site, "10.00", category="Refused")
    assert browser.submit(page, button="Change 5 products").status == 409
    assert queued(site) == []


@pytest.mark.usefixtures("few_at_once")
def test_a_large_run_is_taken_back_by_the_worker(site: Office) -> None:
    """Its undo is queued as any other run."""
    keys = products(site, *["10.00"] * 5, category="Back")
    browser = site.browser("editor")
    ran = browser.submit(
        raised(browser, None, "category=Back"), button="Change 5 products"
    )
    site.site.worker.run_all()
    page = browser.follow(browser.submit(browser.follow(ran), button="Undo…"))
    undone = browser.submit(page, button="Give back 5 products")
    assert queued(site) == [str(run_of(undone))]
    site.site.worker.run_all()
    assert {price(site, key) for key in keys} == {Decimal("10.00")}


@pytest.mark.usefixtures("few_at_once")
def test_locked_rows_are_tried_again_by_the_worker(site: Office) -> None:
    """Who held them has let go; the run is queued once more for them."""
    keys = products(site, *["10.00"] * 5, category="Held")
    browser = site.browser("editor")
    ran = browser.submit(
        raised(browser, None, "category=Held"), button="Change 5 products"
    )
    with site.engine.connect() as other:
        other.exec_driver_sql(f"SELECT 1 FROM products WHERE id = {keys[1]} FOR UPDATE")
        site.site.worker.run_all()
    assert price(site, keys[1]) == Decimal("10.00")
    browser.submit(browser.get(ran.location), button="Try it again")
    assert queued(site) == [str(run_of(ran))]
    site.site.worker.run_all()
    assert {price(site, key) for key in keys} == {Decimal("11.00")}


@pytest.mark.usefixtures("few_at_once")
def test_a_run_says_who_is_missing(site: Office) -> None:
    """Without a worker it waits for one, and how to start it is said; with one not."""
    products(site, *["10.00"] * 5, category="Alone")
    browser = site.browser("editor")
    ran = browser.submit(
        raised(browser, None, "category=Alone"), button="Change 5 products"
    )
    url = ran.location
    for page in (browser.get(url), browser.get("/admin/runs")):
        assert "No worker is there." in page.text
        assert "manage.py runworker" in page.text
    site.run("UPDATE backoffice_runs SET state = 'running' WHERE finished_at IS NULL")
    assert "Interrupted: 5 products are to be changed." in browser.get(url).text
    assert "interrupted" in browser.get("/admin/runs").text

    site.run("INSERT INTO procrastinate_workers DEFAULT VALUES")
    assert "Running: 5 products are to be changed." in browser.get(url).text
    assert "No worker is there." not in browser.get("/admin/runs").text
    site.run("DELETE FROM procrastinate_workers")
    site.site.worker.run_all()
    assert "No worker is there." not in browser.get("/admin/runs").text


def test_a_run_says_that_its_rows_were_cleared(site: Office) -> None:
    """Long after its end its list of rows is gone; its undo is still offered."""
    keys = products(site, "10.00")
    browser = site.browser("editor")
    ran = browser.submit(raised(browser, keys), button="Change 1 product")
    assert "was cleared" not in browser.get(ran.location).text
    site.run(
        "UPDATE backoffice_runs SET finished_at = now() - interval '31 days' "
        f"WHERE id = {run_of(ran)}"
    )
    site.site.worker.clear()
    page = browser.get(ran.location)
    assert "The list of its rows was cleared" in page.text
    undo = browser.follow(browser.submit(page, button="Undo…"))
    browser.submit(undo, button="Give back 1 product")
    assert price(site, keys[0]) == Decimal("10.00")


def test_a_run_waits_while_people_need_the_connections(site: Office) -> None:
    """A full pool holds it back, of whichever process; and says so while it is full."""
    with opened(site.engine.url, database={"pool_size": 1, "max_overflow": 0}) as small:
        trouble = small.site.worker.trouble
        assert trouble is not None
        assert trouble() == ""
        snapshots = small.backoffice.keeper.snapshots
        with small.engine.connect():
            assert trouble().startswith("the pool is at 100")
            snapshots.write()
            # As another process that serves has left it, seen by one that only works.
            other = os.getppid()
            name = f"{other}-{process_start(other)}.json"
            left = {**json.loads(snapshots.path.read_text()), "pid": other}
            (snapshots.directory / name).write_text(json.dumps(left))
            snapshots.path.unlink()
        with opened(
            site.engine.url,
            observability={"metrics_directory": str(snapshots.directory.parent)},
        ) as beside:
            assert beside.site.worker.trouble is not None
            assert beside.site.worker.trouble().startswith("the pool is at 100")


def test_a_run_waits_while_the_database_does_not_answer(site: Office) -> None:
    """Who looks after the database gets no answer: nothing more is asked of it."""
    nowhere = make_ops_engine(
        site.engine.url.set(port=1, query={}, host="127.0.0.1"), DatabaseSettings()
    )
    with opened(site.engine.url) as lost:
        lost.site.pulse = Pulse(OpsReader(nowhere))
        assert lost.site.worker.trouble is not None
        assert "answers too slowly" in lost.site.worker.trouble()
    nowhere.dispose()
