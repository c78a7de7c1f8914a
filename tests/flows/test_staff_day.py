"""A day's office work, from the login to the deletion."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from backoffice.admin.own_names import THEN, TOKEN
from models.publishing import Comment, Post
from models.school import Course, ReportCard, School, Student
from models.shop import Product
from tests.browser import Browser, Seen
from tests.factories import (
    make_author,
    make_comment,
    make_course,
    make_customer,
    make_enrollment,
    make_order,
    make_order_item,
    make_post,
    make_product,
    make_report_card,
    make_school,
    make_student,
)
from tests.office import Office, log_in


def test_a_record_is_found_changed_told_of_and_deleted(site: Office) -> None:
    """Log in, search, open, edit, see it in the history, delete after a preview."""
    student = site.add(make_student, full_name="Okafor Amara", code="S-099002")
    site.add(make_report_card, student_id=student.id)
    browser = site.stranger()
    asked = browser.get("/admin/student/list?search=okafor")
    assert (
        asked.location
        == "/admin/login?next=%2Fadmin%2Fstudent%2Flist%3Fsearch%3Dokafor"
    )
    page = browser.follow(asked)
    found = browser.follow(
        browser.submit(
            page, {"email": "editor@example.org", "password": "four wild geese fly"}
        )
    )
    assert [row[1] for row in found.rows] == ["Okafor Amara"]

    details = browser.get(found.link("Okafor Amara"))
    assert details.heading.startswith("Okafor Amara")
    form = browser.get(details.link("Edit"))
    saved = browser.submit(form, {"class_name": "9B"})
    assert saved.location == "/admin/student/list?search=okafor"
    back = browser.follow(saved)
    assert any("is saved." in note for note in back.notes)
    assert back.rows[0][3] == "9B"

    history = browser.get(f"/admin/student/history/{student.id}")
    assert "Emil Editor" in history.text
    assert "Class 7A became 9B" in history.text

    preview = browser.get(f"/admin/student/delete/{student.id}?search=okafor")
    assert "2 records would be deleted." in preview.text
    gone = browser.follow(browser.submit(preview, {"sure": "yes"}))
    assert any("is deleted." in note for note in gone.notes)
    assert gone.rows == []
    assert site.read(Student, student.id) is None
    assert browser.get(f"/admin/student/details/{student.id}").status == 404
    told = browser.get(f"/admin/student/history/{student.id}")
    assert "deleted" in told.text


def test_a_history_says_no_more_than_it_knows(site: Office) -> None:
    """What is new was not "empty" before; what was no text and is none is no change."""
    browser = site.browser("editor")
    form = browser.get("/admin/school/create")
    assert browser.submit(form, {"name": "Told once"}).status == 303
    key = site.value("SELECT id FROM schools WHERE name = 'Told once'")
    told = browser.get(f"/admin/school/history/{key}").text
    assert "Name Told once" in told
    assert "became" not in told
    gone = browser.get(f"/admin/school/delete/{key}")
    browser.post(gone.form().action, gone.form().data({}))
    told = browser.get(f"/admin/school/history/{key}").text
    assert "deleted" in told
    assert "became" not in told


def test_a_history_speaks_the_words_of_its_pages(site: Office) -> None:
    """A school by its name, a status by its label, a time as times are told."""
    old, new = (
        site.add(make_school, name="Oldham"),
        site.add(make_school, name="Newton"),
    )
    student = site.add(make_student, school_id=old.id)
    browser = site.browser("editor")
    form = browser.get(f"/admin/student/edit/{student.id}")
    changes = {"school": str(new.id), "status": "on_leave"}
    assert browser.submit(form, changes).status == 303
    preview = browser.get(f"/admin/student/delete/{student.id}")
    browser.post(preview.form().action, preview.form().data({}))
    told = browser.get(f"/admin/student/history/{student.id}").text
    assert "School Oldham became Newton" in told
    assert "Status Active became On leave" in told
    assert "T00:" not in told
    assert "+00:00" not in told


def test_a_password_changed_is_no_pair_of_dots(site: Office) -> None:
    """Of a secret the history says that it changed, and nothing else."""
    site.run(
        "INSERT INTO backoffice_audit (at, actor_label, action, view, table_name, key, "
        "label, changes, request_id) VALUES (now(), 'root', 'update', 'account', "
        "'backoffice_users', '1', 'Vera', :changes, '')",
        changes='{"password_hash": ["…", "…"]}',
    )
    told = site.browser("admin").get("/admin/history").text
    assert "Password hash changed" in told


def test_an_empty_list_says_what_to_leave_out(site: Office) -> None:
    """Each condition with what would be found without it, and the way there."""
    site.add(make_student, full_name="Only Once", class_name="3Z")
    path = "/admin/student/list?search=only+once&class_name=3Z&status=graduated"
    seen = site.browser("viewer").get(path)
    assert "Without status Graduated 1 Show them" in seen.text
    assert "Without class 3Z 0 Without “only once” 0" in seen.text
    found = site.browser("viewer").get(seen.link("Show them"))
    assert [row[1] for row in found.rows] == ["Only Once"]
    assert "Over its budget" not in site.browser("admin").get(path).text
    # One condition alone has nothing to leave out.
    alone = site.browser("viewer").get("/admin/student/list?search=zzqxv")
    assert "Without" not in alone.text


def test_a_list_says_in_which_order_it_stands(site: Office) -> None:
    """Also where nobody asked for one."""
    site.add(make_student)
    browser = site.browser("viewer")
    assert "newest first" in browser.get("/admin/student/list").text
    asked = browser.get("/admin/student/list?sortBy=full_name&sort=asc")
    assert "newest first" not in asked.text
    for order, words in (
        ("student/list?sortBy=full_name&sort=desc", "full name, last first"),
        ("product/list?sortBy=price&sort=desc", "price, highest first"),
        (
            "order/list?sortBy=total,created_at&sort=asc,desc",
            "total, then created, new",
        ),
    ):
        assert words in browser.get(f"/admin/{order}").text
    heads = browser.get("/admin/order/list").html
    assert "order by total, lowest first" in heads
    assert "order by created, oldest first" in heads


def test_the_shop_is_ordered_by_its_numbers(site: Office) -> None:
    """Products by price and by stock, orders by total and by when they came."""
    for price, stock in ((7, 2), (9, 1), (8, 3)):
        site.add(make_product, name=f"Ranked {price}", price=price, stock=stock)
    customer = site.add(make_customer, full_name="Zyx Ranked")
    for total, day in ((20, 2), (30, 1), (10, 3)):
        at = datetime(2026, 5, day, tzinfo=UTC)
        total_of = {"customer_id": customer.id, "total": total, "created_at": at}
        site.add(make_order, **total_of)
    browser = site.browser("viewer")

    def column(asked: str, head: str) -> list[str]:
        page = browser.get(f"/admin/{asked}")
        place = page.heads.index(head)
        return [row[place] for row in page.rows]

    products = "product/list?search=ranked&sortBy"
    assert column(f"{products}=price", "Name") == ["Ranked 7", "Ranked 8", "Ranked 9"]
    assert column(f"{products}=stock&sort=desc", "Stock") == ["3", "2", "1"]
    orders = "order/list?search=zyx&sortBy"
    assert column(f"{orders}=total", "Total") == ["10.00", "20.00", "30.00"]
    by_time = column(f"{orders}=created_at&sort=desc", "Total")
    assert by_time == ["10.00", "20.00", "30.00"]


def test_a_record_lists_what_belongs_to_it_by_what_it_says(site: Office) -> None:
    """Not by numbers that the database has counted up."""
    card = site.add(make_report_card, mathematics=80)
    seen = site.browser("viewer").get(f"/admin/student/details/{card.student_id}")
    heads = ["Academic year", "Semester", "Mathematics", "Average", "Passed"]
    assert [head for head in heads if head in seen.text] == heads
    assert seen.link(str(card.academic_year)) == f"/admin/report-card/details/{card.id}"


def test_a_record_lists_what_belongs_to_it_as_its_own_list_does(site: Office) -> None:
    """The name leads to the record, not its code; one as long as a text is cut."""
    student = site.add(make_student, full_name="Long Name " * 12)
    seen = site.browser("viewer").get(f"/admin/school/details/{student.school_id}")
    way = f"/admin/student/details/{student.id}"
    (name,) = [text for text, url in seen.page.links if url == way]
    assert name.startswith("Long Name Long Name")
    assert name.endswith("…")


def test_a_report_card_says_whether_it_is_enough(site: Office) -> None:
    """On its own page too."""
    card = site.add(make_report_card)
    seen = site.browser("viewer").get(f"/admin/report-card/details/{card.id}")
    assert "Passed no" in seen.text


def test_a_time_stands_in_a_form_as_people_write_it(site: Office) -> None:
    """To the microsecond, and sent back unchanged it is the same."""
    when = datetime(2025, 8, 31, 14, 30, 15, 250, tzinfo=UTC)
    post = site.add(make_post, published_at=when)
    browser = site.browser("editor")
    form = browser.get(f"/admin/post/edit/{post.id}")
    assert 'value="2025-08-31 14:30:15.000250"' in form.html
    told = browser.follow(browser.submit(form, {"title": "Another"}))
    assert "is saved" in told.text
    assert site.read(Post, post.id).published_at == when
    assert "Published" not in browser.get(f"/admin/post/history/{post.id}").text


def test_the_history_says_whose_report_card_was_changed(site: Office) -> None:
    """On the page of all changes and on the start page: a term says little."""
    student = site.add(make_student, full_name="Told Twice")
    card = site.add(make_report_card, student_id=student.id, academic_year=2024)
    browser = site.browser("admin")
    form = browser.get(f"/admin/report-card/edit/{card.id}")
    browser.submit(form, {"mathematics": "77"})
    name = "Report card Told Twice · 2024/25, semester"
    assert name in browser.get("/admin/history").text
    assert name in browser.get("/admin/").text


def test_a_reference_says_what_to_type(site: Office) -> None:
    """By which columns the record is found."""
    seen = site.browser("editor").get("/admin/enrollment/create")
    assert 'placeholder="Type a full name, code or class"' in seen.html
    assert 'placeholder="Type a title or code"' in seen.html


def test_the_start_page_counts_what_is_small(site: Office) -> None:
    """Four schools are 4, not about 4."""
    number = site.value("SELECT count(*) FROM schools")
    seen = site.browser("viewer").get("/admin/")
    assert f"Schools {number:,} " in f"{seen.text} "
    assert f"about {number} " not in seen.text


def test_a_mistake_in_a_filter_is_said_in_its_words(site: Office) -> None:
    """The filter is named once, its values by their labels."""
    seen = site.browser("viewer").get("/admin/student/list?status=zz")
    assert "Status zz is not one of: Active, On leave" in seen.text
    assert "Status Status" not in seen.text


def test_no_filter_is_offered_that_would_show_every_row(site: Office) -> None:
    """A class of nothing but blanks is no box without a word that filters nothing."""
    site.add(make_student, class_name="  ")
    page = site.browser("viewer").get("/admin/student/list").response.text
    assert 'name="class_name" value="7A"' in page
    assert 'name="class_name" value=" ' not in page


def test_a_mistake_in_an_address_is_named_once(site: Office) -> None:
    """An unknown filter is not called by its name twice."""
    seen = site.browser("viewer").get("/admin/student/list?nosuch=1")
    assert seen.status == 400
    assert "nosuch is not a filter of this list" in seen.text
    assert "nosuch nosuch" not in " ".join(seen.text.split())


def test_a_name_of_blanks_can_be_opened(site: Office) -> None:
    """Where nobody would see the link, the key stands in its place."""
    browser = site.browser("editor")
    key = site.add(make_school, name="   ").id
    seen = browser.get("/admin/school/list")
    assert any(row[0] == str(key) for row in seen.rows)


def test_blanks_are_no_value_of_a_required_text(site: Office) -> None:
    """Said on the field, in a new record and in an old one; others take blanks."""
    browser = site.browser("editor")
    refused = browser.submit(browser.get("/admin/school/create"), {"name": " \t "})
    assert refused.status == 400
    assert "A value is required" in refused.errors["name"]
    school = site.add(make_school, name="Has letters")
    form = browser.get(f"/admin/school/edit/{school.id}")
    assert "name" in browser.submit(form, {"name": "   "}).errors
    student, product = site.add(make_student), site.add(make_product)
    for page, field, sentence in (
        (f"/admin/student/edit/{student.id}", "class_name", "Give the student a class"),
        (f"/admin/product/edit/{product.id}", "category", "Give the product a categor"),
    ):
        form = browser.get(page)
        assert sentence in browser.submit(form, {field: ""}).errors[field]
        blank = browser.submit(form, {field: " \t "})
        assert "A value is required" in blank.errors[field]


def test_a_time_says_how_it_is_typed(site: Office) -> None:
    """What the hint says is accepted, and means what it says."""
    post = site.add(make_post)
    browser = site.browser("editor")
    form = browser.get(f"/admin/post/edit/{post.id}")
    assert "Such as 2025-08-31 14:30, in UTC; or with an offset" in form.text
    for typed, hour in (("2025-08-31 14:30", 14), ("2025-08-31 14:30+07:00", 7)):
        form = browser.get(f"/admin/post/edit/{post.id}")
        assert browser.submit(form, {"published_at": typed}).status == 303
        assert site.read(Post, post.id).published_at.astimezone(UTC).hour == hour


def test_blanks_around_a_line_come_with_pasting_and_are_left_out(site: Office) -> None:
    """As in Django; what stands so in the database stays until somebody types."""
    school = site.add(make_school, city=" Old ")
    browser = site.browser("editor")
    form = browser.get(f"/admin/school/edit/{school.id}")
    assert browser.submit(form, {"name": "  Pasted\u00a0\t"}).status == 303
    found = site.read(School, school.id)
    assert (found.name, found.city) == ("Pasted", " Old ")
    form = browser.get(f"/admin/school/edit/{school.id}")
    same = browser.follow(browser.submit(form, {"name": "Pasted "}))
    assert "Nothing was changed" in " ".join(same.notes)


def test_a_record_is_created_and_another_one_offered(site: Office) -> None:
    """Pressing "Save and add another" saves and gives an empty form."""
    school = site.add(make_school)
    browser = site.browser("editor")
    page = browser.get("/admin/student/create")
    saved = browser.submit(
        page,
        {
            "code": "NEW-1",
            "full_name": "New One",
            "class_name": "7A",
            "school": str(school.id),
        },
        button="Save and add another student",
    )
    assert saved.location == "/admin/student/create"
    again = browser.follow(saved)
    assert any("New One" in note and "is created." in note for note in again.notes)
    assert again.form().value("code") == ""
    assert site.value("SELECT status FROM students WHERE code = 'NEW-1'") == "active"


def test_saving_may_keep_the_form_open(site: Office) -> None:
    """Pressing "Save and keep editing" comes back to the form with the new value."""
    course = site.add(make_course)
    browser = site.browser("editor")
    page = browser.get(f"/admin/course/edit/{course.id}?search=x")
    saved = browser.submit(page, {"title": "Renamed"}, button="Save and keep editing")
    assert saved.location == f"/admin/course/edit/{course.id}?search=x"
    assert browser.follow(saved).form().value("title") == "Renamed"


def test_enter_in_a_field_saves_as_the_primary_button_does(site: Office) -> None:
    """Browsers press a form's first button on Enter: it is "Save", not another."""
    course = site.add(make_course)
    browser = site.browser("editor")
    for url in (f"/admin/course/edit/{course.id}", "/admin/course/create"):
        assert browser.get(url).form(url).buttons[0] == (THEN, "", "Save")


def test_saving_without_a_change_writes_nothing_and_says_so(site: Office) -> None:
    """No UPDATE, no entry in the history, and a sentence."""
    student = site.add(make_student)
    before = site.value("SELECT xmin FROM students WHERE id = :i", i=student.id)
    browser = site.browser("editor")
    seen = browser.submit(browser.get(f"/admin/student/edit/{student.id}"))
    assert browser.follow(seen).notes == ["Nothing was changed, so nothing is saved."]
    after = site.value("SELECT xmin FROM students WHERE id = :i", i=student.id)
    assert after == before
    assert entries(site, "students", student.id) == []


def test_only_what_was_changed_is_written(site: Office) -> None:
    """A save of one field leaves another column's newer value alone."""
    student = site.add(make_student, guardian="Mother")
    browser = site.browser("editor")
    page = browser.get(f"/admin/student/edit/{student.id}")
    form = page.form()
    sent = form.data({"class_name": "8C"}, "Save")
    # A client that sends only a part of the form changes only that part.
    for name in ("guardian", "email", "birth_date"):
        del sent[name]
    assert browser.post(form.action, sent).status == 303
    now = site.read(Student, student.id)
    assert (now.class_name, now.guardian, now.email) == (
        "8C",
        "Mother",
        student.email,
    )
    (entry,) = entries(site, "students", student.id)
    assert set(entry) - {"updated_at"} == {"class_name"}


def test_what_is_read_only_is_read_only_for_forgers_too(site: Office) -> None:
    """A value sent for a computed, a counted or an unknown field is not written."""
    course = site.add(make_course)
    card = site.add(make_report_card, mathematics=50)
    browser = site.browser("editor")
    page = browser.get(f"/admin/course/edit/{course.id}")
    forged = {"title": "Kept", "enrolled": "5", "id": "77", "created_at": "2001-01-01"}
    assert browser.submit(page, forged).status == 303
    now = site.read(Course, course.id)
    assert (now.title, now.enrolled) == ("Kept", 0)
    page = browser.get(f"/admin/report-card/edit/{card.id}")
    assert browser.submit(page, {"average": "99", "english": "60"}).status == 303
    assert site.read(ReportCard, card.id).average == Decimal("22.0")


def test_lines_of_an_order_are_only_read(site: Office) -> None:
    """The view of order lines offers no form, and its addresses refuse."""
    item = site.add(make_order_item)
    browser = site.browser("admin")
    assert browser.get(f"/admin/order-item/details/{item.id}").status == 200
    assert browser.get(f"/admin/order-item/edit/{item.id}").status == 403
    assert browser.get(f"/admin/order-item/delete/{item.id}").status == 403
    assert browser.get("/admin/order-item/create").status == 403


def test_who_ordered_cannot_be_changed(site: Office) -> None:
    """A field that the view declares read-only is not written, whoever sends it."""
    order = site.add(make_order)
    other = site.add(make_order)
    browser = site.browser("editor")
    page = browser.get(f"/admin/order/edit/{order.id}")
    browser.submit(page, {"customer": str(other.customer_id), "status": "paid"})
    row = site.values(
        "SELECT customer_id, status FROM orders WHERE id = :i", i=order.id
    )
    assert row == [(order.customer_id, "paid")]


def test_deleting_says_what_goes_what_stays_and_what_forbids_it(site: Office) -> None:
    """By the foreign keys: comments go with a post, an author with posts stays."""
    author = site.add(make_author)
    post = site.add(make_post, author_id=author.id)
    for _ in range(3):
        site.add(make_comment, post_id=post.id)
    browser = site.browser("editor")
    preview = browser.get(f"/admin/post/delete/{post.id}")
    assert "4 records would be deleted." in preview.text
    assert preview.form().buttons[-1][2] == "Delete 4 records"
    forbidden = browser.get(f"/admin/author/delete/{author.id}")
    assert "It is still used by 1 post." in forbidden.text
    assert "Delete" not in {label for _, _, label in forbidden.form().buttons}
    assert "before you confirm" in preview.text
    assert "before you confirm" not in forbidden.text
    refused = browser.post(forbidden.form().action, forbidden.form().data({}))
    assert refused.status == 409
    unsure = browser.submit(preview)
    assert (unsure.status, site.read(Post, post.id) is None) == (400, False)
    assert "Tick that you are sure of it. Nothing was deleted." in unsure.text
    assert browser.submit(unsure, {"sure": "yes"}).status == 303
    assert site.read(Post, post.id) is None
    assert (
        site.value("SELECT count(*) FROM comments WHERE post_id = :i", i=post.id) == 0
    )


def test_a_deletion_leads_to_what_hangs_on_the_record(site: Office) -> None:
    """To the list of just these rows, and to each that is named."""
    student = site.add(make_student)
    card = site.add(make_report_card, student_id=student.id)
    browser = site.browser("editor")
    page = browser.get(f"/admin/student/delete/{student.id}")
    listed = f"/admin/report-card/list?student={student.id}"
    assert ("Report cards", listed) in page.page.links
    assert "all 1 that match" in browser.get(listed).text
    assert f"/admin/report-card/details/{card.id}" in set(page.hrefs())


def test_a_deletion_that_grew_asks_again(site: Office) -> None:
    """What was added after the preview is shown before anything goes."""
    post = site.add(make_post)
    browser = site.browser("editor")
    preview = browser.get(f"/admin/post/delete/{post.id}")
    comment = site.add(make_comment, post_id=post.id)
    again = browser.submit(preview)
    assert again.status == 409
    assert "has changed; look once more" in again.text
    assert site.read(Comment, comment.id) is not None
    assert browser.submit(again, {"sure": "yes"}).status == 303
    assert site.read(Comment, comment.id) is None


def test_deleting_needs_the_preview(site: Office) -> None:
    """A POST that has not seen what goes deletes nothing."""
    post = site.add(make_post)
    browser = site.browser("editor")
    sent = {TOKEN: browser.token()}
    seen = browser.post(f"/admin/post/delete/{post.id}", sent)
    assert seen.status == 409
    assert site.read(Post, post.id) is not None


def test_a_deletion_commits_with_its_entries_or_not_at_all(site: Office) -> None:
    """Row, children and history stand or fall together."""
    course = site.add(make_course)
    site.add(make_enrollment, course_id=course.id)
    browser = site.browser("editor")
    preview = browser.get(f"/admin/course/delete/{course.id}")
    assert "still used by 1 enrollment" in preview.text
    forced = browser.post(preview.form().action, preview.form().data({}))
    assert forced.status == 409
    assert site.read(Course, course.id) is not None
    assert entries(site, "courses", course.id) == []


def order_form(
    browser: Browser, lines: Sequence[tuple[str, Any]], customer: str
) -> Seen:
    """The order form filled in and sent."""
    page = browser.get("/admin/order/create")
    changes = {"customer": customer}
    for at, (product, quantity) in enumerate(lines):
        changes[f"items.{at}.product"] = product
        changes[f"items.{at}.quantity"] = str(quantity)
    return browser.submit(page, changes)


def test_an_order_of_ten_lines_takes_all_of_them(site: Office) -> None:
    """Ten products by name, each taken from stock, and the total of all."""
    products = [site.add(make_product, stock=10) for _ in range(10)]
    customer = site.value("SELECT id FROM customers LIMIT 1")
    browser = site.browser("editor")
    lines = [(product.name, 2) for product in products]
    seen = order_form(browser, lines, str(customer))
    assert seen.status == 303, seen.text
    ids = [product.id for product in products]
    stock = site.value("SELECT sum(stock) FROM products WHERE id = ANY(:ids)", ids=ids)
    assert stock == 80
    total = site.value("SELECT total FROM orders ORDER BY id DESC LIMIT 1")
    assert total == Decimal("50.00")


def test_an_order_is_called_an_order_once(site: Office) -> None:
    """Its name begins with what it is; a product's name does not."""
    product = site.add(make_product, stock=10, name="Blue vase")
    customer = site.value("SELECT id FROM customers LIMIT 1")
    browser = site.browser("editor")
    made = browser.follow(order_form(browser, [(product.name, 2)], str(customer)))
    key = site.value("SELECT max(id) FROM orders")
    assert any(note.startswith(f"Order {key} is created.") for note in made.notes)
    form = browser.get(f"/admin/product/edit/{product.id}")
    saved = browser.follow(browser.submit(form, {"stock": "3"}))
    said = "Product Blue vase is saved."
    assert any(note.startswith(said) for note in saved.notes), saved.notes


def test_a_wrong_quantity_is_told_with_its_line(site: Office) -> None:
    """Ten fields are called quantity: above the form the third is known from them."""
    product = site.add(make_product, stock=10)
    lines: list[tuple[str, Any]] = [("", ""), ("", ""), (product.name, "-1")]
    seen = order_form(site.browser("editor"), lines, "")
    assert "Quantity 3</a>: A quantity is a whole number from 1." in seen.html


def test_blanks_in_an_order_are_nothing_chosen(site: Office) -> None:
    """Spaces where a customer or a product belongs are asked for, in words."""
    seen = order_form(site.browser("editor"), [("  ", 1)], " \t")
    assert seen.status == 400
    assert seen.errors == {
        "customer": "Choose who buys.",
        "items.0.product": "Choose a product.",
    }


def test_an_empty_order_is_told_all_that_is_missing(site: Office) -> None:
    """Who buys, and what."""
    seen = order_form(site.browser("editor"), [], "")
    assert seen.errors == {
        "customer": "Choose who buys.",
        "items.0.product": "An order has at least one line.",
    }


def test_an_order_is_told_all_its_errors_at_once(site: Office) -> None:
    """Names that nobody has, what was not said, and what is not in stock."""
    short = site.add(make_product, stock=1, name="Rare vase")
    there = site.add(make_product, stock=10)
    lines: list[tuple[str, Any]] = [(short.name, 5), (there.name, ""), ("Nonesuch", 1)]
    count = site.value("SELECT count(*) FROM orders")

    nobody = order_form(site.browser("editor"), lines, "")
    typed = order_form(site.browser("editor"), lines, "Nobody at all")

    for seen, customer in ((nobody, "Choose who buys."), (typed, "There is no")):
        assert seen.status == 400
        assert seen.errors["customer"].startswith(customer)
        assert "Only 1 of Rare vase" in seen.errors["items.0.quantity"]
        assert seen.errors["items.1.quantity"] == "Say how many."
        assert "Nonesuch" in seen.errors["items.2.product"]
    assert site.value("SELECT count(*) FROM orders") == count
    assert site.read(Product, short.id).stock == 1


def test_an_order_with_one_line_too_many_takes_nothing(site: Office) -> None:
    """The line that cannot be had is told; no stock of the others is taken."""
    there = site.add(make_product, stock=10)
    short = site.add(make_product, stock=1, name="Rare lamp")
    customer = site.value("SELECT id FROM customers LIMIT 1")
    browser = site.browser("editor")
    before = site.value("SELECT count(*) FROM orders")
    seen = order_form(browser, [(there.name, 3), (short.name, 5)], str(customer))
    assert seen.status == 400
    assert list(seen.errors) == ["items.1.quantity"]
    assert "Only 1 of Rare lamp" in seen.errors["items.1.quantity"]
    assert seen.form().value("items.0.quantity") == "3"
    assert site.value("SELECT count(*) FROM orders") == before
    assert site.read(Product, there.id).stock == 10


def test_a_list_is_left_and_found_again_as_it_was(site: Office) -> None:
    """Filters, order and page survive edit and save, and the way back."""
    browser = site.browser("editor")
    query = "status=active&sortBy=full_name&sort=desc&pageSize=20&page=2"
    listed = browser.get(f"/admin/student/list?{query}")
    opened = browser.get(listed.link(listed.rows[0][1]))
    edited = browser.get(opened.link("Edit"))
    assert f"/admin/student/list?{query}" in list(edited.hrefs())
    saved = browser.follow(browser.submit(edited, {"guardian": "Whoever calls"}))
    assert [row[1] for row in saved.rows] == [row[1] for row in listed.rows]


def test_a_new_child_belongs_to_its_parent(site: Office) -> None:
    """A post's new comment has the post preset; saving leads to a list that opens."""
    post = site.add(make_post)
    browser = site.browser("editor")
    details = browser.get(f"/admin/post/details/{post.id}")
    page = browser.get(details.link("New comment"))
    assert page.form().value("post:key") == str(post.id)
    saved = browser.submit(page, {"name": "Reader", "body": "I see."})
    assert saved.status == 303, saved.text
    assert browser.follow(saved).status == 200
    found = site.value("SELECT count(*) FROM comments WHERE post_id = :i", i=post.id)
    assert found == 1


def test_a_message_is_said_once(site: Office) -> None:
    """What a redirect says stands on the next page, and not on the one after."""
    course = site.add(make_course)
    browser = site.browser("editor")
    page = browser.get(f"/admin/course/edit/{course.id}")
    saved = browser.submit(page, {"title": "Said once"})
    assert any("is saved." in note for note in browser.follow(saved).notes)
    assert not browser.get("/admin/course/list").notes


def test_a_forged_message_is_not_shown(site: Office) -> None:
    """The message cookie is signed."""
    browser = site.fresh("viewer")
    browser.client.cookies.set("backoffice_message", '["ok", "Send me money", null]')
    assert "Send me money" not in browser.get("/admin/course/list").text


def test_light_and_dark_are_kept_by_a_cookie(site: Office) -> None:
    """Choosing leads back to the page where it was chosen; nonsense is automatic."""
    browser = site.fresh("viewer")
    page = browser.get("/admin/course/list?search=a")
    form = page.form("/admin/theme")
    chosen = browser.post("/admin/theme", form.data({"theme": "dark"}))
    assert chosen.location == "/admin/course/list?search=a"
    assert 'data-bs-theme="dark"' in browser.follow(chosen).html
    browser.post("/admin/theme", form.data({"theme": "purple"}))
    assert "data-bs-theme" not in browser.get("/admin/course/list").html


def test_details_show_relations_as_bounded_lists(site: Office) -> None:
    """Ten of many, how many there are, and the way to all of them."""
    post = site.add(make_post)
    with site.session() as session:
        for _ in range(14):
            make_comment(session, post_id=post.id)
        session.commit()
    seen = site.browser("viewer").get(f"/admin/post/details/{post.id}")
    assert len([row for row in seen.rows if len(row) > 1]) == 10
    assert "14" in seen.text


def test_details_count_relations_up_to_a_limit(site: Office) -> None:
    """Of more than a thousand it is said so: nobody waits for a count of millions."""
    post = site.add(make_post)
    site.run(
        "INSERT INTO comments (post_id, name, body)"
        " SELECT :post, 'Ann', 'Again' FROM generate_series(1, 1005)",
        post=post.id,
    )
    try:
        seen = site.browser("viewer").get(f"/admin/post/details/{post.id}")
    finally:
        site.run("DELETE FROM comments WHERE post_id = :post", post=post.id)
    assert "more than 1,000" in seen.text
    assert "1,005" not in seen.text


def test_the_history_of_all_is_for_admins_and_ops(site: Office) -> None:
    """Others see each record's own."""
    log_in(site.stranger(), "ops@example.org")
    assert site.browser("ops").get("/admin/history").status == 200
    assert site.browser("viewer").get("/admin/history").status == 403


def entries(site: Office, table: str, key: object) -> list[dict[str, object]]:
    """What the history has on one record."""
    rows = site.values(
        "SELECT changes FROM backoffice_audit WHERE table_name = :t AND key = :k",
        t=table,
        k=str(key),
    )
    return [row.changes for row in rows]


def test_a_filter_by_text_says_that_it_takes_the_whole_of_it(site: Office) -> None:
    """Who types half a name into it is not left to think that nobody has it."""
    site.add(make_student, guardian="Ibu Sri")
    browser = site.browser("editor")
    assert 'name="guardian" value="Ibu" placeholder="exactly"' in (
        browser.get("/admin/student/list?guardian=Ibu").html
    )
    assert len(browser.get("/admin/student/list?guardian=Ibu+Sri").rows) == 1
