"""Two people, one record: stale forms, merges, races for the last seat and stock."""

import re
import threading
from collections.abc import Callable
from typing import Any

from backoffice.admin.own_names import STATE
from models.publishing import Author
from models.school import Course, Student
from models.shop import Product
from tests.browser import Browser, Seen
from tests.factories import (
    make_author,
    make_course,
    make_customer,
    make_enrollment,
    make_product,
    make_report_card,
    make_student,
)
from tests.office import Office


def at_once(*tasks: Callable[[], Any]) -> list[Any]:
    """Run all of them, each in a thread; what each gave back."""
    results: list[Any] = [None] * len(tasks)
    gate = threading.Barrier(len(tasks))

    def run(at: int, task: Callable[[], Any]) -> None:
        gate.wait()
        results[at] = task()

    threads = [
        threading.Thread(target=run, args=(at, task)) for at, task in enumerate(tasks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def opened_twice(site: Office, path: str) -> tuple[Browser, Seen, Browser, Seen]:
    """The same form in the browsers of two people."""
    editor, admin = site.browser("editor"), site.browser("admin")
    return editor, editor.get(path), admin, admin.get(path)


def test_a_stale_form_leads_to_a_merge_and_is_saved(site: Office) -> None:
    """Both changed one field: it says who and when, asks which, and saves the rest."""
    student = site.add(make_student, guardian="Mother")
    path = f"/admin/student/edit/{student.id}"
    editor, first, admin, second = opened_twice(site, path)
    assert (
        admin.submit(second, {"guardian": "Father", "class_name": "8A"}).status == 303
    )
    mine = {"guardian": "Aunt", "email": "new@example.org"}
    conflict = editor.submit(first, mine)
    assert conflict.status == 409
    assert re.search(
        r"Ada Admin saved this record at \d\d:\d\d while you were editing\.",
        conflict.text,
    )
    assert site.read(Student, student.id).guardian == "Father"
    assert {"theirs", "mine", "written"} == set(
        conflict.form().choices["choose:guardian"]
    )
    saved = editor.submit(
        conflict,
        {
            "choose:guardian": "written",
            "written:guardian": "Father and aunt",
        },
    )
    assert saved.status == 303, saved.text
    now = site.read(Student, student.id)
    assert (now.guardian, now.class_name, now.email) == (
        "Father and aunt",
        "8A",
        "new@example.org",
    )


def test_two_tabs_of_one_person_say_so(site: Office) -> None:
    """Who meets oneself reads of no other, and loses nothing either."""
    student = site.add(make_student, guardian="Mother")
    path = f"/admin/student/edit/{student.id}"
    editor = site.browser("editor")
    first, second = editor.get(path), editor.get(path)
    assert (
        editor.submit(first, {"guardian": "Father", "class_name": "8A"}).status == 303
    )
    conflict = editor.submit(second, {"guardian": "Aunt", "email": "a@example.org"})
    assert conflict.status == 409
    assert re.search(
        r"You changed this record at \d\d:\d\d, in another tab or window\.",
        conflict.text,
    )
    assert "Both times you changed 1 field" in conflict.text
    assert "Keep what you saved before" in conflict.text
    assert "a@example.org of this form" in conflict.text
    assert "School / Students" in conflict.text
    assert "Emil" not in conflict.text.partition("Log out")[2]
    saved = editor.submit(conflict, {"choose:guardian": "mine"})
    assert saved.status == 303, saved.text
    now = site.read(Student, student.id)
    assert (now.guardian, now.class_name, now.email) == ("Aunt", "8A", "a@example.org")

    form = editor.get(path)
    editor.submit(editor.get(f"/admin/student/delete/{student.id}"))
    gone = editor.submit(form, {"guardian": "Nobody"})
    assert "was deleted by you on" in gone.text
    assert gone.form().value("guardian") == "Nobody"


def test_keeping_theirs_writes_only_what_they_did_not(site: Office) -> None:
    """Choosing their version of a field is no change of it."""
    student = site.add(make_student, guardian="Mother")
    path = f"/admin/student/edit/{student.id}"
    editor, first, admin, second = opened_twice(site, path)
    admin.submit(second, {"guardian": "Father"})
    conflict = editor.submit(first, {"guardian": "Aunt", "class_name": "8B"})
    saved = editor.submit(conflict, {"choose:guardian": "theirs"})
    assert saved.status == 303, saved.text
    now = site.read(Student, student.id)
    assert (now.guardian, now.class_name) == ("Father", "8B")


def test_a_conflict_without_a_choice_asks_again(site: Office) -> None:
    """Nothing is chosen for anybody; what was typed is still there."""
    student = site.add(make_student, guardian="Mother")
    path = f"/admin/student/edit/{student.id}"
    editor, first, admin, second = opened_twice(site, path)
    admin.submit(second, {"guardian": "Father"})
    conflict = editor.submit(first, {"guardian": "Aunt"})
    again = editor.submit(conflict)
    assert again.status in {400, 409}
    assert "Aunt" in again.html
    assert site.read(Student, student.id).guardian == "Father"


def test_a_second_conflict_during_the_merge_is_another_merge(site: Office) -> None:
    """What changed while one was choosing is compared as well."""
    student = site.add(make_student, guardian="Mother")
    path = f"/admin/student/edit/{student.id}"
    editor, first, admin, second = opened_twice(site, path)
    admin.submit(second, {"guardian": "Father"})
    conflict = editor.submit(first, {"guardian": "Aunt"})
    admin.submit(admin.get(path), {"guardian": "Grandmother"})
    again = editor.submit(conflict, {"choose:guardian": "mine"})
    assert again.status == 409
    assert "Grandmother" in again.text
    assert site.read(Student, student.id).guardian == "Grandmother"


def test_a_merge_leaves_a_box_as_it_is(site: Office) -> None:
    """A box that nobody touched stays ticked through a merge."""
    author = site.add(make_author, bio="old")
    path = f"/admin/author/edit/{author.id}"
    editor, first, admin, second = opened_twice(site, path)
    admin.submit(second, {"bio": "theirs"})
    conflict = editor.submit(first, {"bio": "mine"})
    assert editor.submit(conflict, {"choose:bio": "mine"}).status == 303
    now = site.read(Author, author.id)
    assert (now.bio, now.is_active) == ("mine", True)


def test_a_merge_keeps_a_box_that_one_has_emptied(site: Office) -> None:
    """A box that I emptied is empty after the merge."""
    author = site.add(make_author, bio="old")
    path = f"/admin/author/edit/{author.id}"
    editor, first, admin, second = opened_twice(site, path)
    admin.submit(second, {"bio": "theirs"})
    conflict = editor.submit(first, {"is_active": None})
    assert editor.submit(conflict).status == 303
    now = site.read(Author, author.id)
    assert (now.bio, now.is_active) == ("theirs", False)


def test_changes_of_different_fields_are_merged_on_a_page(site: Office) -> None:
    """The form showed a column that has changed: it is told, and nothing is lost."""
    student = site.add(make_student)
    path = f"/admin/student/edit/{student.id}"
    editor, first, admin, second = opened_twice(site, path)
    admin.submit(second, {"class_name": "9C"})
    conflict = editor.submit(first, {"guardian": "Uncle"})
    assert conflict.status == 409
    assert editor.submit(conflict).status == 303
    now = site.read(Student, student.id)
    assert (now.class_name, now.guardian) == ("9C", "Uncle")


def test_what_a_trigger_changes_is_no_conflict(site: Office) -> None:
    """An enrollment counts up a column that the form only reads."""
    course = site.add(make_course)
    browser = site.browser("editor")
    page = browser.get(f"/admin/course/edit/{course.id}")
    site.add(make_enrollment, course_id=course.id)
    assert browser.submit(page, {"title": "Still mine"}).status == 303
    now = site.read(Course, course.id)
    assert (now.title, now.enrolled) == ("Still mine", 1)


def test_a_form_of_a_deleted_record_says_who_deleted_it(site: Office) -> None:
    """Delete against save: the later one is told."""
    course = site.add(make_course, title="Short lived")
    path = f"/admin/course/edit/{course.id}"
    editor, first, admin, _ = opened_twice(site, path)
    admin.submit(admin.get(f"/admin/course/delete/{course.id}"))
    seen = editor.submit(first, {"title": "Too late"})
    assert seen.status == 404
    assert "was deleted by Ada Admin" in seen.text
    assert seen.form().value("title") == "Too late"
    made = editor.submit(seen)
    assert made.status == 303, made.text
    assert site.value("SELECT count(*) FROM courses WHERE title = 'Too late'") == 1


def test_an_account_that_changed_meanwhile_is_not_overwritten(site: Office) -> None:
    """Accounts are written in a way of their own, and compared like the rest."""
    key = site.value("SELECT id FROM backoffice_users WHERE role = 'viewer'")
    path = f"/admin/account/edit/{key}"
    one, two = site.browser("admin"), site.fresh("admin")
    first, second = one.get(path), two.get(path)
    two.submit(second, {"name": "Vera V."})
    conflict = one.submit(first, {"name": "Vera W."})
    assert conflict.status == 409
    assert site.value("SELECT name FROM backoffice_users WHERE id = :k", k=key) == (
        "Vera V."
    )
    two.submit(two.get(path), {"name": "Vera Viewer"})


def test_the_state_of_one_record_does_not_fit_another(site: Office) -> None:
    """What a form had shown is signed for its record."""
    one, two = site.add(make_course), site.add(make_course)
    browser = site.browser("editor")
    state = browser.get(f"/admin/course/edit/{one.id}").form().value(STATE)
    page = browser.get(f"/admin/course/edit/{two.id}")
    seen = browser.submit(page, {STATE: state, "title": "Smuggled"})
    assert seen.status == 400
    assert seen.form().value("title") == "Smuggled"
    assert site.read(Course, two.id).title != "Smuggled"


def enroll(browser: Browser, student: int, course: str) -> Seen:
    """The form of an enrollment, filled in and sent."""
    page = browser.get("/admin/enrollment/create")
    return browser.submit(page, {"student": str(student), "course": course})


def test_a_full_course_refuses_on_the_course(site: Office) -> None:
    """It says how many seats are taken, on the field that says which course."""
    course = site.add(make_course, title="Algebra", capacity=30)
    with site.session() as session:
        for _ in range(30):
            make_enrollment(session, course_id=course.id)
        late = make_student(session)
        session.commit()
    seen = enroll(site.browser("editor"), late.id, str(course.id))
    assert seen.status == 400
    assert seen.errors == {"course": "Algebra is full (30 of 30)."}


def test_the_last_seat_is_one_persons(site: Office) -> None:
    """Two at once for one seat: one gets it, the other is told on the field."""
    course = site.add(make_course, title="Chess", capacity=1)
    students = [site.add(make_student) for _ in range(2)]
    browsers = [site.fresh("editor"), site.fresh("admin")]
    pages = [browser.get("/admin/enrollment/create") for browser in browsers]

    def send(at: int) -> Seen:
        changes = {"student": str(students[at].id), "course": str(course.id)}
        return browsers[at].submit(pages[at], changes)

    seen = at_once(lambda: send(0), lambda: send(1))
    assert sorted(one.status for one in seen) == [303, 400]
    refused = next(one for one in seen if one.status == 400)
    assert refused.errors == {"course": "Chess is full (1 of 1)."}
    assert site.read(Course, course.id).enrolled == 1


def test_one_form_sent_twice_makes_one_record(site: Office) -> None:
    """The second click is refused by the rule that two are not one."""
    course, student = site.add(make_course), site.add(make_student)
    browsers = [site.fresh("editor"), site.fresh("editor")]
    pages = [browser.get("/admin/enrollment/create") for browser in browsers]
    changes = {"student": str(student.id), "course": str(course.id)}
    seen = at_once(
        lambda: browsers[0].submit(pages[0], changes),
        lambda: browsers[1].submit(pages[1], changes),
    )
    assert sorted(one.status for one in seen) == [303, 400]
    assert site.read(Course, course.id).enrolled == 1


def test_stock_is_not_sold_twice(site: Office) -> None:
    """Two orders at once for the last five: one gets all, the other nothing."""
    product = site.add(make_product, stock=5)
    customer = site.add(make_customer)
    browsers = [site.fresh("editor"), site.fresh("admin")]
    pages = [browser.get("/admin/order/create") for browser in browsers]
    changes = {
        "customer": str(customer.id),
        "items.0.product": str(product.id),
        "items.0.quantity": "5",
    }
    seen = at_once(
        lambda: browsers[0].submit(pages[0], changes),
        lambda: browsers[1].submit(pages[1], changes),
    )
    assert sorted(one.status for one in seen) == [303, 400]
    assert site.read(Product, product.id).stock == 0


def test_a_mark_is_saved_by_two_people_one_after_the_other(site: Office) -> None:
    """Two savers of one row, both fresh: the history has both, in order."""
    card = site.add(make_report_card, mathematics=50)
    path = f"/admin/report-card/edit/{card.id}"
    for role, mark in (("editor", "60"), ("admin", "70")):
        browser = site.browser(role)
        assert browser.submit(browser.get(path), {"mathematics": mark}).status == 303
    told = site.browser("viewer").get(f"/admin/report-card/history/{card.id}").text
    assert told.index("60 became 70") < told.index("50 became 60")
