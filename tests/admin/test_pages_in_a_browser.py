"""Do the pages work for everybody, in a real browser, without a server?"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from backoffice.admin.templating import render
from tests.admin.sample_pages import NAMES, PAGES
from tests.chromium import (
    COLOURS,
    RULES,
    answer_file,
    close,
    in_a_browser,
    violations,
)

SITE = "http://backoffice.test"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'"
)
pytestmark = in_a_browser


def answer(route: Route) -> None:
    """Be the site: pages by name, files by name, and a lookup of students."""
    address = urlsplit(route.request.url)
    name = address.path.rpartition("/")[2].replace("%20", " ")
    if name in PAGES:
        route.fulfill(
            body=render(*PAGES[name]),
            content_type="text/html; charset=utf-8",
            headers={"Content-Security-Policy": POLICY},
        )
    elif answer_file(route):
        return
    elif name == "lookup":
        term = address.query.rpartition("term=")[2].lower()
        found = [
            {"key": str(key), "label": label}
            for key, label in enumerate(NAMES)
            if term in label.lower()
        ]
        route.fulfill(json={"choices": found, "more": False})
    else:
        route.fulfill(status=200, body="elsewhere", content_type="text/plain")


def open_page(browser: Browser, name: str, **options: object) -> Page:
    """A page of the samples, with whatever went wrong in it as an error."""
    page = browser.new_context(**options).new_page()  # type: ignore[arg-type]
    page.route("**/*", answer)
    page.goto(f"{SITE}/{name}")
    return page


@pytest.fixture
def students(browser: Browser) -> Iterator[Page]:
    """The list of students."""
    page = open_page(browser, "list")
    yield page
    close(page)


@pytest.fixture
def form(browser: Browser) -> Iterator[Page]:
    """A form that was refused."""
    page = open_page(browser, "form")
    yield page
    close(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_use_it(
    browser: Browser, name: str, width: int, scheme: str
) -> None:
    """axe-core finds nothing, nothing scrolls sideways, no policy is broken."""
    page = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    ).new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda line: errors.append(line.text) if line.type == "error" else None,
    )
    page.route("**/*", answer)
    page.goto(f"{SITE}/{name}")
    assert violations(page, COLOURS if scheme == "dark" else RULES) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert errors == []
    close(page)


def test_the_bar_of_a_form_covers_no_field_that_one_is_in(browser: Browser) -> None:
    """By keyboard, in a low window: each field is seen when it is reached."""
    low = {"width": 1280, "height": 420}
    page = open_page(browser, "form", viewport=low, reduced_motion="reduce")
    page.locator("main input:visible").first.focus()
    covered = []
    for _ in range(page.locator("main :is(input,select,textarea):visible").count()):
        page.keyboard.press("Tab")
        covered += page.evaluate(
            """() => {
              const at = document.activeElement, bar = document.querySelector('.stick')
              if (!at.matches('.form-control, .form-select')) return []
              const {bottom} = at.getBoundingClientRect()
              return bottom <= bar.getBoundingClientRect().top ? [] : [at.name]
            }"""
        )
    assert covered == []
    close(page)


@pytest.mark.parametrize("width", [1280, 375])
def test_filters_can_be_used_by_everybody(browser: Browser, width: int) -> None:
    """The open drawer with its list of suggestions has no findings either."""
    page = open_page(browser, "list", viewport={"width": width, "height": 800})
    page.keyboard.press("f")
    page.get_by_label("School, type a name").fill("an")
    page.get_by_role("option").first.wait_for()
    assert violations(page, RULES) == []
    close(page)


def test_pages_work_without_scripts(browser: Browser) -> None:
    """Filters open and a form is sent with all that it needs without JavaScript."""
    page = open_page(browser, "list", java_script_enabled=False)
    page.get_by_text("Filters").click()
    page.get_by_role("textbox", name="Class").fill("9B")
    page.get_by_role("button", name="Show rows").click()
    assert "class_name=9B" in page.url
    close(page)


def test_slash_searches(students: Page) -> None:
    """A slash puts the cursor into the search field."""
    students.keyboard.press("/")
    expect(students.get_by_role("searchbox")).to_be_focused()
    expect(students.get_by_role("searchbox")).to_have_value("")


def test_j_and_k_walk_the_rows(students: Page) -> None:
    """The keys j and k move from name to name, Enter opens the record."""
    for key in "jjjk":
        students.keyboard.press(key)
    expect(students.get_by_role("link", name=NAMES[1]).first).to_be_focused()
    students.keyboard.press("Enter")
    students.wait_for_url("**/student/details/1")


def test_n_goes_to_the_next_page(students: Page) -> None:
    """The key n follows the link to the next page."""
    students.keyboard.press("n")
    students.wait_for_url("**after=x")


def test_c_creates(students: Page) -> None:
    """The key c follows the action that creates."""
    students.keyboard.press("c")
    students.wait_for_url("**/create")


def test_e_edits(browser: Browser) -> None:
    """The key e follows the action that edits, as the link says of itself."""
    page = open_page(browser, "details")
    page.keyboard.press("e")
    page.wait_for_url("**/edit/**")
    close(page)


def test_g_and_a_letter_follow_the_menu(students: Page) -> None:
    """The key g and the first free letter of a menu line go there."""
    students.keyboard.press("g")
    students.keyboard.press("r")
    students.wait_for_url("**/admin/Report%20cards")


def test_keys_rest_inside_fields(students: Page) -> None:
    """A letter typed into a field is a letter."""
    students.keyboard.press("/")
    students.keyboard.type("jnc?")
    expect(students.get_by_role("searchbox")).to_have_value("jnc?")


def test_keys_can_be_turned_off(students: Page) -> None:
    """Who does not want single keys turns them off, and they stay off."""
    students.keyboard.press("?")
    students.get_by_label("Single keys work").uncheck()
    students.get_by_role("button", name="Close").click()
    students.reload()
    students.keyboard.press("/")
    expect(students.get_by_role("searchbox")).not_to_be_focused()


def test_escape_closes_the_filters(students: Page) -> None:
    """Escape closes what lies on top and gives the focus back."""
    students.keyboard.press("f")
    expect(students.locator("#filters")).to_have_attribute("open", "")
    students.keyboard.press("Escape")
    expect(students.locator("#filters")).not_to_have_attribute("open", "")
    expect(students.locator("#filters summary")).to_be_focused()


def test_empty_filters_are_left_out_of_the_address(students: Page) -> None:
    """An address that is shared says only what was asked."""
    students.keyboard.press("f")
    students.get_by_role("button", name="Show rows").click()
    students.wait_for_url("**/admin/student/list?*")
    assert not re.search(r"=(&|$)", students.url)
    assert "status=active" in students.url


def test_a_chosen_page_size_shows_at_once(students: Page) -> None:
    """Another number of rows needs no further click."""
    students.get_by_label("Rows per page").select_option("100")
    students.wait_for_url("**pageSize=100*")


def test_a_filter_takes_several_references(students: Page) -> None:
    """Each chosen record becomes a ticked box beside the ones before."""
    students.keyboard.press("f")
    field = students.get_by_label("School, type a name")
    field.fill("kaplan")
    students.get_by_role("option").first.wait_for()
    students.keyboard.press("ArrowDown")
    students.keyboard.press("Enter")
    expect(students.get_by_label("Kaplan, Deniz")).to_be_checked()
    expect(students.get_by_label("Northfield High")).to_be_checked()
    expect(field).to_have_value("")


def test_a_reference_is_picked_by_typing(form: Page) -> None:
    """The chosen record's key is sent, and for which text it stands."""
    form.get_by_label("Student").fill("kap")
    form.get_by_role("option").first.wait_for()
    form.keyboard.press("ArrowDown")
    form.keyboard.press("Enter")
    expect(form.locator("[name=student]")).to_have_value("Kaplan, Deniz")
    expect(form.locator("[name='student:key']")).to_have_value("6")
    expect(form.locator("[name='student:for']")).to_have_value("Kaplan, Deniz")


# Typing on and, before the answer is there, choosing: all in one task of the browser.
QUICK_HAND = """input => {
  input.value += "x";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  return ["ArrowDown", "Enter"].map((key) => input.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })));
}"""


def test_a_quick_hand_picks_nothing_of_an_older_list(form: Page) -> None:
    """What is listed for a shorter text is not chosen, and nothing is sent yet."""
    field = form.get_by_label("Student")
    field.fill("kap")
    form.get_by_role("option").first.wait_for()
    assert field.evaluate(QUICK_HAND) == [False, False]
    expect(field).to_have_value("kapx")
    expect(form.locator("[name='student:key']")).to_have_value("")


def test_typing_forgets_the_picked_reference(form: Page) -> None:
    """Text that was typed after a choice is not taken for the choice."""
    form.get_by_label("Student").fill("somebody else")
    expect(form.locator("[name='student:key']")).to_have_value("")


def test_a_refused_form_starts_at_its_summary(form: Page) -> None:
    """The focus is on what went wrong, and its links lead to the fields."""
    expect(form.locator("#summary")).to_be_focused()
    form.locator("#summary").get_by_text("Science").click()
    expect(form.get_by_label("Science")).to_be_focused()


def test_changed_fields_are_counted(form: Page) -> None:
    """The save bar counts as one types, and takes it back."""
    bar = form.locator("[data-changes]")
    expect(bar).to_have_text("3 fields changed")
    form.get_by_label("Note").fill("Better.")
    expect(bar).to_have_text("4 fields changed")
    form.get_by_label("Note").fill("Good.")
    expect(bar).to_have_text("3 fields changed")


def test_control_s_saves(form: Page) -> None:
    """Ctrl+S sends the form by its primary button."""
    with form.expect_request("**/report-card/edit/1") as sent:
        form.keyboard.press("Control+s")
    assert "state=signed" in (sent.value.post_data or "")
    assert "then=" in (sent.value.post_data or "")


def test_a_form_that_is_too_large_is_not_sent(form: Page) -> None:
    """The server would not read it, and what was typed would be gone."""
    form.locator("form[data-record]").evaluate("form => form.dataset.largest = 3000")
    form.get_by_label("Scores").fill("x" * 4000)
    form.keyboard.press("Control+s")
    expect(form.locator("[data-changes]")).to_contain_text("Not sent")
    expect(form.get_by_label("Scores")).to_have_value("x" * 4000)


def test_leaving_a_changed_form_asks_first(form: Page) -> None:
    """What was typed is not lost by a wrong click."""
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    form.on("dialog", leave)
    form.get_by_label("Note").fill("Better.")
    form.get_by_role("link", name="Cancel").click()
    form.wait_for_url("**/report-card/list")
    assert asked == ["beforeunload"]


def test_writing_together_chooses_it(browser: Browser) -> None:
    """Who writes a third version has chosen it."""
    page = open_page(browser, "conflict")
    page.get_by_label("Note, written together").fill("Both are right.")
    expect(page.locator("#note-w")).to_be_checked()
    close(page)
