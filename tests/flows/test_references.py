"""References are picked by typing: with a script, and without one."""

from typing import Any

from models.school import Enrollment, Student
from tests.browser import Seen
from tests.factories import make_course, make_school, make_student
from tests.office import Office


def choices(seen: Seen) -> list[dict[str, Any]]:
    """What a lookup offers."""
    assert seen.status == 200, seen.text
    found: list[dict[str, Any]] = seen.response.json()["choices"]
    return found


def test_a_few_letters_find_records(site: Office) -> None:
    """By the start of a name's word, by the code, by the key; labelled."""
    student = site.add(make_student, full_name="Zuleika Quartz", code="ZQ-77")
    browser = site.browser("editor")
    for term in ("zul", "quar", "ZQ-77", str(student.id)):
        path = f"/admin/enrollment/ajax/lookup?field=student&term={term}"
        found = choices(browser.get(path))
        assert str(student.id) in [one["key"] for one in found], term
    found = choices(browser.get("/admin/enrollment/ajax/lookup?field=student&term=zul"))
    assert "Zuleika Quartz (ZQ-77, 7A)" in [one["label"] for one in found]


def test_a_lookup_is_bounded_and_says_that_there_is_more(site: Office) -> None:
    """Twenty at most."""
    seen = site.browser("editor").get(
        "/admin/enrollment/ajax/lookup?field=student&term="
    )
    answer = seen.response.json()
    assert len(answer["choices"]) == 20
    assert answer["more"] is True


def test_only_who_may_write_looks_up_for_a_form(site: Office) -> None:
    """A viewer may look up for a filter of a list that they see, and for no form."""
    viewer = site.browser("viewer")
    assert (
        viewer.get("/admin/enrollment/ajax/lookup?field=student&term=a").status == 403
    )
    path = "/admin/enrollment/ajax/lookup?filter=student&term=a"
    assert viewer.get(path).status == 200


def enrolled(site: Office, **typed: Any) -> Seen:
    """The form of an enrollment as somebody without a script sends it."""
    browser = site.browser("editor")
    return browser.submit(browser.get("/admin/enrollment/create"), typed)


def test_without_a_script_a_key_is_enough(site: Office) -> None:
    """The field takes the key."""
    student, course = site.add(make_student), site.add(make_course)
    seen = enrolled(site, student=str(student.id), course=str(course.id))
    assert seen.status == 303, seen.errors


def test_without_a_script_an_exact_name_is_enough(site: Office) -> None:
    """The field takes the name, or the code, whatever the case."""
    course = site.add(make_course, title="Only One Such Title")
    for text, title in (
        ("Mia Once", "Only One Such Title"),
        ("mia twice", course.code),
    ):
        student = site.add(make_student, full_name=text.title())
        seen = enrolled(site, student=text, course=title)
        assert seen.status == 303, seen.errors
        found = (
            "SELECT count(*) FROM enrollments WHERE student_id = :s AND course_id = :c"
        )
        assert site.value(found, s=student.id, c=course.id) == 1


def test_a_name_that_several_have_offers_a_choice(site: Office) -> None:
    """Each with what tells them apart; the choice is sent with the same form."""
    one = site.add(make_student, full_name="Same Name", code="SN-1")
    two = site.add(make_student, full_name="Same Name", code="SN-2")
    course = site.add(make_course)
    seen = enrolled(site, student="Same Name", course=str(course.id))
    assert (seen.status, list(seen.errors)) == (400, ["student"])
    offered = seen.form().choices["student:key"]
    assert offered == [str(one.id), str(two.id)]
    assert "SN-1" in seen.text
    assert "SN-2" in seen.text
    browser = site.browser("editor")
    saved = browser.submit(seen, {"student:key": str(two.id)})
    assert saved.status == 303, saved.errors
    found = "SELECT student_id FROM enrollments WHERE course_id = :c"
    assert site.value(found, c=course.id) == two.id


def test_a_name_that_nobody_has_offers_what_is_near(site: Office) -> None:
    """The sentence names what was typed; nothing is taken by chance."""
    site.add(make_student, full_name="Nearby Person")
    course = site.add(make_course)
    seen = enrolled(site, student="nearby", course=str(course.id))
    assert seen.status == 400
    assert "nearby" in seen.errors["student"]
    assert "Nearby Person" in seen.text
    assert seen.form().value("student") == "nearby"


def test_a_required_reference_is_asked_for(site: Office) -> None:
    """Empty is a sentence on the field."""
    seen = enrolled(site, student="", course="")
    assert seen.status == 400
    assert set(seen.errors) == {"student", "course"}


def test_a_reference_that_is_left_alone_stays(site: Office) -> None:
    """A name that several have is no question when it is not touched."""
    school = site.add(make_school, name="Twin School")
    student = site.add(make_student, school_id=school.id)
    browser = site.browser("editor")
    page = browser.get(f"/admin/student/edit/{student.id}")
    assert page.form().value("school") == "Twin School"
    assert browser.submit(page, {"guardian": "Somebody"}).status == 303
    assert site.read(Student, student.id).school_id == school.id


def test_a_text_typed_over_a_picked_record_counts(site: Office) -> None:
    """Without a script the old key still goes along: the new text wins."""
    old, new = site.add(make_school), site.add(make_school, name="The New School")
    student = site.add(make_student, school_id=old.id)
    browser = site.browser("editor")
    page = browser.get(f"/admin/student/edit/{student.id}")
    assert page.form().value("school:key") == str(old.id)
    assert browser.submit(page, {"school": "The New School"}).status == 303
    assert site.read(Student, student.id).school_id == new.id


def test_what_was_typed_for_a_reference_outlives_another_mistake(site: Office) -> None:
    """The form comes back with the record's name, and is saved with the new one."""
    old, new = site.add(make_school), site.add(make_school, name="The Next School")
    student = site.add(make_student, school_id=old.id)
    browser = site.browser("editor")
    page = browser.get(f"/admin/student/edit/{student.id}")
    wrong = browser.submit(page, {"school": str(new.id), "full_name": ""})
    assert list(wrong.errors) == ["full_name"]
    assert wrong.form().value("school") == "The Next School"
    assert wrong.form().value("school:key") == str(new.id)
    assert browser.submit(wrong, {"full_name": "Right"}).status == 303
    assert site.read(Student, student.id).school_id == new.id


def test_a_reference_that_was_not_understood_is_never_the_old_one(site: Office) -> None:
    """Sending the same mistake again is refused again, not passed over."""
    student = site.add(make_student)
    browser = site.browser("editor")
    page = browser.get(f"/admin/student/edit/{student.id}")
    wrong = browser.submit(page, {"school": "No such school"})
    assert wrong.form().value("school:key") == ""
    assert list(browser.submit(wrong).errors) == ["school"]


def test_what_the_site_calls_a_record_is_a_name_of_it(site: Office) -> None:
    """A label can be copied from a list into the field."""
    site.add(make_student, full_name="Called So", code="CS-1")
    student = site.add(make_student, full_name="Called So", code="CS-2")
    course = site.add(make_course, title="Copied", code="CP-1")
    label = f"Called So (CS-2, {student.class_name})"
    seen = enrolled(site, student=label, course="Copied (CP-1)")
    assert seen.status == 303, seen.errors
    found = "SELECT student_id FROM enrollments WHERE course_id = :c"
    assert site.value(found, c=course.id) == student.id


def test_a_reference_to_nothing_is_refused(site: Office) -> None:
    """A key that is not there, sent by a script, is a sentence on the field."""
    course = site.add(make_course)
    seen = enrolled(
        site,
        student="Nobody",
        course=str(course.id),
        **{"student:key": "987654321", "student:for": "Nobody"},
    )
    assert (seen.status, list(seen.errors)) == (400, ["student"])
    count = "SELECT count(*) FROM enrollments WHERE course_id = :c"
    assert site.value(count, c=course.id) == 0


def test_a_reference_may_be_emptied(site: Office) -> None:
    """Where the column may be empty."""
    key = site.value("SELECT id FROM text_analyses WHERE batch_id IS NOT NULL LIMIT 1")
    browser = site.browser("editor")
    page = browser.get(f"/admin/text-analysis/edit/{key}")
    assert page.form().value("batch")
    assert browser.submit(page, {"batch": ""}).status == 303
    assert site.value("SELECT batch_id FROM text_analyses WHERE id = :k", k=key) is None


def test_a_duplicate_is_refused_on_its_field(site: Office) -> None:
    """Unique alone, together with others, and by its lower case; all typed stays."""
    student = site.add(make_student, code="TAKEN-1")
    browser = site.browser("editor")
    page = browser.get("/admin/student/create")
    typed = {
        "code": "TAKEN-1",
        "full_name": "Second",
        "class_name": "7A",
        "school": str(student.school_id),
    }
    seen = browser.submit(page, typed)
    assert seen.status == 400
    assert seen.errors == {"code": "Another student has this code."}
    assert seen.form().value("full_name") == "Second"
    assert seen.link("Open that student") == f"/admin/student/details/{student.id}"
    course = site.add(make_course)
    enrolled(site, student=str(student.id), course=str(course.id))
    again = enrolled(site, student=str(student.id), course=str(course.id))
    assert again.errors == {"course": "The student is in this course already."}
    there = site.value(f"SELECT id FROM enrollments WHERE student_id = {student.id}")
    assert again.link("Open that enrollment") == f"/admin/enrollment/details/{there}"
    assert site.read(Enrollment, 0) is None
    mail = site.value("SELECT email FROM customers LIMIT 1")
    page = browser.get("/admin/customer/create")
    seen = browser.submit(page, {"full_name": "Again", "email": mail.upper()})
    assert seen.errors == {"email": "Another customer has this e-mail."}


def test_what_is_wrong_is_said_at_once(site: Office) -> None:
    """Several fields, several sentences, and a summary that counts them."""
    browser = site.browser("editor")
    page = browser.get("/admin/report-card/create")
    seen = browser.submit(
        page,
        {
            "student": "",
            "academic_year": "1066",
            "semester": "4",
            "mathematics": "101",
            "english": "many",
        },
    )
    assert set(seen.errors) == {
        "student",
        "academic_year",
        "semester",
        "mathematics",
        "english",
    }
    assert "5 fields need you" in seen.text
    # A browser that sends no field at all is told as much of it.
    page = browser.get("/admin/text-analysis/create")
    seen = browser.submit(page, {"text": []})
    assert "text" in seen.errors
    page = browser.get("/admin/student/create")
    seen = browser.submit(page, {"birth_date": "soon", "email": "nobody"})
    assert {"birth_date", "email", "full_name"} <= set(seen.errors)


def test_a_name_from_the_right_is_found_as_it_is_shown(site: Office) -> None:
    """The signs that keep its code in order are no part of what is looked for."""
    student = site.add(make_student, full_name="مريم حسن", code="2026-11")
    course = site.add(make_course)
    label = site.browser("editor").get(f"/admin/student/details/{student.id}").heading
    assert label == f"\u2068مريم حسن\u2069 (2026-11, {student.class_name})"
    seen = enrolled(site, student=label, course=str(course.id))
    assert seen.status == 303, seen.errors


def test_a_list_is_filtered_by_an_exact_name(site: Office) -> None:
    """Typed without a script it leads to the address with the key."""
    school = site.add(make_school, name="Filtered by name")
    student = site.add(make_student, school_id=school.id, full_name="Only One Such")
    seen = site.browser("viewer").get("/admin/enrollment/list?student=Only+One+Such")
    assert seen.status == 303
    assert seen.location == f"/admin/enrollment/list?student={student.id}"


def test_a_name_in_a_filter_that_several_have_offers_them(site: Office) -> None:
    """Each as its own list calls it, unticked; one that is ticked is the filter."""
    school = site.add(make_school, name="Of two of one name")
    keys = {
        str(site.add(make_student, school_id=school.id, full_name="Two Such").id)
        for _ in range(2)
    }
    browser, path = site.browser("viewer"), "/admin/enrollment/list"
    seen = browser.get(f"{path}?student=Two+Such")
    assert seen.status == 400
    assert "Several students fit Two Such; choose one." in seen.text
    form = seen.form(path)
    assert set(form.choices["student"]) == keys
    assert not any(form.fields.get("student", []))
    chosen = form.data({"student": [min(keys)]})
    query = "&".join(f"{k}={v}" for k, values in chosen.items() for v in values if v)
    assert browser.get(f"{path}?{query}").status == 200


def test_a_name_in_a_filter_that_nobody_has_offers_what_is_near(site: Office) -> None:
    """A part of a name finds it; that there is no such key is not all that is said."""
    school = site.add(make_school, name="Of a near one")
    near = site.add(make_student, school_id=school.id, full_name="Xaverius Near")
    seen = site.browser("viewer").get("/admin/enrollment/list?student=Xaverius")
    assert seen.status == 400
    assert "There is no student with the key or name Xaverius." in seen.text
    assert seen.form("/admin/enrollment/list").choices["student"] == [str(near.id)]
    assert "Xaverius Near" in seen.text
