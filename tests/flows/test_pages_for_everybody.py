"""Can everybody use the site as it is served? axe-core, sideways scrolling, errors.

The browser's requests are answered by the application itself, on a real database.
"""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.chromium import COLOURS, RULES, close, in_a_browser, violations
from tests.factories import make_comment, make_report_card, make_student
from tests.flows.actions import choose
from tests.office import Office

SITE = "http://testserver"
pytestmark = in_a_browser
PAGES = (
    "/admin/",
    "/admin/student/list",
    "/admin/student/list?search=a&status=active&sortBy=full_name&sort=asc",
    "/admin/student/list?status=nonsense",
    "/admin/student/list?search=nobody+at+all",
    "/admin/student/details/{student}",
    "/admin/student/edit/{student}",
    "/admin/student/create",
    "/admin/student/delete/{student}",
    "/admin/student/history/{student}",
    "/admin/report-card/list",
    "/admin/product/list",
    "/admin/order/create",
    "/admin/account/list",
    "/admin/account/create",
    "/admin/account",
    "/admin/history",
    "/admin/runs",
    "/admin/nowhere",
)


def opened(
    browser: Browser, site: Office, path: str, *, has_scripts: bool = True
) -> Page:
    """A page as the admin sees it."""
    client = site.browser("admin").client

    def answer(route: Route) -> None:
        address = urlsplit(route.request.url)
        query = f"?{address.query}" if address.query else ""
        seen = client.get(f"{address.path}{query}")
        route.fulfill(
            status=seen.status_code,
            body=seen.content,
            headers={
                name: value
                for name, value in seen.headers.items()
                if name not in {"content-encoding", "content-length"}
            },
        )

    # Colours that are on their way to others are no colours to judge.
    page = browser.new_context(
        reduced_motion="reduce", java_script_enabled=has_scripts
    ).new_page()
    page.route("**/*", answer)
    page.goto(f"{SITE}{path}")
    return page


@pytest.mark.parametrize("path", PAGES)
def test_everybody_can_use_what_is_served(
    browser: Browser, site: Office, path: str
) -> None:
    """axe-core finds nothing, and nothing scrolls sideways; of short names as well."""
    student = site.add(make_student, full_name="Y")
    page = opened(browser, site, path.format(student=student.id))
    for width in (1280, 375):
        page.set_viewport_size({"width": width, "height": 800})
        assert violations(page, RULES) == [], width
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(color_scheme="dark")
    assert violations(page, COLOURS) == []
    close(page)


def sheets(site: Office) -> str:
    """The address of the report cards of a student, to print."""
    student = site.add(make_student)
    site.add(make_report_card, student_id=student.id)
    admin = site.browser("admin")
    asked = choose(admin, "student", "print-report-cards", [student.id])
    return admin.submit(asked, {"year": ""}, button="Show").location


def test_report_cards_are_printed_by_a_button(browser: Browser, site: Office) -> None:
    """It asks the browser to print, under the strict policy of the site."""
    page = opened(browser, site, sheets(site))
    page.evaluate("window.print = () => { window.isPrinted = true }")
    page.get_by_role("button", name="Print").click()
    assert page.evaluate("window.isPrinted")
    close(page)


def test_without_scripts_no_button_promises_to_print(
    browser: Browser, site: Office
) -> None:
    """What it cannot do it does not offer."""
    page = opened(browser, site, sheets(site), has_scripts=False)
    assert page.get_by_role("heading", name="Report cards").is_visible()
    assert page.locator("[data-print]").is_hidden()
    close(page)


@pytest.mark.parametrize("path", ["/admin/student/list", "/admin/student/details/{}"])
def test_paper_has_no_navigation(browser: Browser, site: Office, path: str) -> None:
    """A printed page has what it tells, no menu and no buttons, and is never dark."""
    page = opened(browser, site, path.format(site.add(make_student).id))
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("h1").is_visible()
    seen = ".side, .bar, .skip, .crumbs, .btn, .cost, [type=checkbox], [type=radio]"
    assert page.locator(seen).locator("visible=true").count() == 0
    ground = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    close(page)


def test_a_long_word_or_name_leaves_the_other_columns_in_sight(
    browser: Browser, site: Office
) -> None:
    """A text without a space is broken, a name of two lines has two."""
    site.add(make_comment, body="w" * 400)
    site.add(
        make_report_card,
        student_id=site.add(make_student, full_name="Ada von " * 20).id,
    )
    for view in ("comment", "report-card"):
        page = opened(browser, site, f"/admin/{view}/list?sortBy=id&sort=desc")
        page.set_viewport_size({"width": 1440, "height": 800})
        wide = "(box) => box.scrollWidth - box.clientWidth"
        assert page.locator(".box").first.evaluate(wide) <= 0, view
        close(page)


def test_on_a_telephone_search_and_filters_share_a_line(
    browser: Browser, site: Office
) -> None:
    """The first rows are seen without scrolling."""
    page = opened(browser, site, "/admin/student/list?status=active&class_name=9A")
    page.set_viewport_size({"width": 375, "height": 740})
    search, filters = (
        page.locator(at).bounding_box() for at in ("[type=search]", "#filters summary")
    )
    assert search is not None
    assert filters is not None
    assert abs(search["y"] - filters["y"]) < search["height"] / 2
    close(page)


def test_on_a_tablet_a_record_has_the_width_to_itself(
    browser: Browser, site: Office
) -> None:
    """What belongs to it is seen whole; its history stands below."""
    card = site.add(make_report_card)
    page = opened(browser, site, f"/admin/student/details/{card.student_id}")
    page.set_viewport_size({"width": 1024, "height": 768})
    wide = "(box) => box.scrollWidth - box.clientWidth"
    assert page.locator(".box").first.evaluate(wide) <= 0
    close(page)


def test_the_menu_shows_where_one_is_in_a_low_window(
    browser: Browser, site: Office
) -> None:
    """The last line does not stand behind what stands at the menu's foot."""
    page = opened(browser, site, "/admin/account/list")
    page.set_viewport_size({"width": 1280, "height": 500})
    page.reload()
    here = page.locator("#nav [aria-current]").bounding_box()
    foot = page.locator("#nav .end").bounding_box()
    assert here is not None
    assert foot is not None
    assert here["y"] + here["height"] <= foot["y"]
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    assert skip.evaluate("(link) => link === document.activeElement")
    close(page)


def test_a_line_of_the_menu_that_is_reached_by_tab_is_seen(
    browser: Browser, site: Office
) -> None:
    """Also the last, where the menu's foot would just cover it."""
    page = opened(browser, site, "/admin/")
    page.set_viewport_size({"width": 1280, "height": 800})
    end = page.locator("#nav nav").evaluate(
        "(nav) => nav.getBoundingClientRect().bottom"
    )
    page.set_viewport_size({"width": 1280, "height": int(end) + 40})
    page.locator("#nav nav a").nth(-2).focus()
    page.keyboard.press("Tab")
    here = page.locator("#nav nav a").last
    assert here.evaluate("(link) => link === document.activeElement")
    place, foot = here.bounding_box(), page.locator("#nav .end").bounding_box()
    assert place is not None
    assert foot is not None
    assert place["y"] + place["height"] <= foot["y"]
    close(page)


def test_escape_closes_the_menu_of_a_telephone(browser: Browser, site: Office) -> None:
    """It lies over the page, like all that Escape closes."""
    page = opened(browser, site, "/admin/student/list")
    page.set_viewport_size({"width": 375, "height": 740})
    page.get_by_role("link", name="Menu", exact=True).click()
    assert page.locator("#nav").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#nav").is_hidden()
    close(page)


def test_what_is_ticked_is_seen_in_the_colours_of_a_system(
    browser: Browser, site: Office
) -> None:
    """High contrast takes away every ground, and so the mark."""
    site.add(make_student)
    page = opened(browser, site, "/admin/student/list")
    page.emulate_media(forced_colors="active")
    ground = "(box) => getComputedStyle(box).backgroundColor"
    ticked, other = (
        page.locator(f"[name=which][value={which}]").evaluate(ground)
        for which in ("ticked", "all")
    )
    assert ticked != other
    close(page)
