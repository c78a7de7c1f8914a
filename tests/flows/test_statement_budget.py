"""How many statements a page may cost, whatever is in the tables."""

import pytest

from tests.browser import Browser
from tests.factories import (
    make_comment,
    make_post,
    make_report_card,
    make_school,
    make_student,
)
from tests.office import Office, counted

LIST_MOST = 4
IDENTITIES = (
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
    "account",
    "slow-log",
)


def cost(site: Office, browser: Browser, path: str, status: int = 200) -> int:
    """How many statements a page asks."""
    with counted(site.engine) as statements:
        seen = browser.get(path)
    assert seen.status == status, seen.text
    return len(statements)


def test_every_view_has_its_budget_tested(site: Office) -> None:
    """A view that is added is added here."""
    assert {view.identity for view in site.site.views} == set(IDENTITIES)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_list_page_costs_four_statements(site: Office, identity: str) -> None:
    """Session with person, count with choices, rows with relations; an estimate."""
    browser = site.browser("admin")
    path = f"/admin/{identity}/list"
    assert cost(site, browser, path) <= LIST_MOST
    assert cost(site, browser, f"{path}?search=a") <= LIST_MOST
    second = f"{path}?pageSize=20&page=2"
    is_short = "The list is not that long" in browser.get(second).text
    assert cost(site, browser, second, 404 if is_short else 200) <= LIST_MOST
    for sort in site.site.view_called(identity).description.list_spec.sortable[:2]:  # type: ignore[union-attr]
        query = f"?sortBy={sort}&sort=desc"
        assert cost(site, browser, path + query) <= LIST_MOST, sort


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_filtered_list_page_costs_four_statements(
    site: Office, identity: str
) -> None:
    """Every filter of the view, by a value that it offers."""
    browser = site.browser("admin")
    view = site.site.view_called(identity)
    assert view is not None
    for field in view.description.list_spec.filters:
        query = f"{field.path}={field.choices[0][0]}" if field.choices else ""
        if str(field.kind) == "boolean":
            query = f"{field.path}=true"
        elif str(field.kind) == "number":
            query = f"{field.path}__from=1"
        elif str(field.kind) == "date":
            query = f"{field.path}__from=2000-01-01"
        elif str(field.kind) == "reference":
            query = f"{field.path}=1"
        if query:
            path = f"/admin/{identity}/list?{query}"
            assert cost(site, browser, path) <= LIST_MOST, query


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_list_costs_the_same_for_two_rows_as_for_fifty(
    site: Office, identity: str
) -> None:
    """No row asks for anything of its own."""
    browser = site.browser("admin")
    few = cost(site, browser, f"/admin/{identity}/list?pageSize=2")
    many = cost(site, browser, f"/admin/{identity}/list?pageSize=50")
    assert many == few


def test_pages_of_a_record_cost_the_same_for_few_and_for_many(site: Office) -> None:
    """Details, form, preview and history of a record with one child and with ten."""
    one, many = site.add(make_student), site.add(make_student)
    with site.session() as session:
        make_report_card(session, student_id=one.id, semester=1)
        for number in range(9):
            make_report_card(
                session,
                student_id=many.id,
                semester=number % 3 + 1,
                academic_year=2020 + number // 3,
            )
        session.commit()
    browser = site.browser("editor")
    for key, saves in ((one.id, 1), (many.id, 6)):
        for number in range(saves):
            page = browser.get(f"/admin/student/edit/{key}")
            browser.submit(page, {"guardian": f"Guardian {number}"})
    for page_name, most in (("details", 6), ("edit", 5), ("delete", 9), ("history", 5)):
        few = cost(site, browser, f"/admin/student/{page_name}/{one.id}")
        lots = cost(site, browser, f"/admin/student/{page_name}/{many.id}")
        assert lots == few, page_name
        assert few <= most, (page_name, few)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_details_of_every_view_are_few_statements(site: Office, identity: str) -> None:
    """A handful, and no more for any of the first rows."""
    browser = site.browser("admin")
    seen = browser.get(f"/admin/{identity}/list")
    hrefs = [h for h in seen.hrefs() if f"/{identity}/details/" in h][:3]
    if not hrefs:
        return  # nothing is in it yet
    costs = {cost(site, browser, href.partition("?")[0]) for href in hrefs}
    assert max(costs) <= 8
    forms = [href.partition("?")[0].replace("details", "edit") for href in hrefs]
    view = site.site.view_called(identity)
    if view is not None and view.can_edit:
        assert max(cost(site, browser, form) for form in forms) <= 6


def test_details_with_relations_of_relations_do_not_multiply(site: Office) -> None:
    """A post with two comments costs what one with nine does."""
    browser = site.browser("viewer")
    costs = set()
    for number in (2, 9):
        post = site.add(make_post)
        with site.session() as session:
            for _ in range(number):
                make_comment(session, post_id=post.id)
            session.commit()
        costs.add(cost(site, browser, f"/admin/post/details/{post.id}"))
    assert len(costs) == 1


def test_the_start_page_and_the_history_are_few_statements(site: Office) -> None:
    """However many lists there are, and however many entries."""
    browser = site.browser("admin")
    assert cost(site, browser, "/admin/") <= 4
    assert cost(site, browser, "/admin/history") <= 3


def test_before_a_deletion_a_record_is_read_once(site: Office) -> None:
    """What the metrics would find wrong with a view is not done by our own page."""
    school = site.add(make_school)
    with counted(site.engine) as statements:
        seen = site.browser("editor").get(f"/admin/school/delete/{school.id}")
    assert seen.status == 200
    assert len([one for one in statements if "FROM schools" in one]) == 1


def test_a_lookup_costs_a_handful(site: Office) -> None:
    """It runs at every key that is pressed."""
    browser = site.browser("editor")
    path = "/admin/enrollment/ajax/lookup?field=student&term=a"
    assert cost(site, browser, path) <= 6


def test_a_stranger_costs_nothing(site: Office) -> None:
    """Without a session of ours the database is not asked."""
    assert cost(site, site.stranger(), "/admin/student/list", 303) == 0
