"""The list of runs: what stands in a line, narrowed down, page by page."""

import pytest

from backoffice.admin.pages import all_runs, runs
from backoffice.bulk.batches import step
from backoffice.bulk.models import Run
from tests.factories import make_student
from tests.flows.actions import (
    choose,
    few_at_once,  # noqa: F401 - a fixture
    products,
    raised,
    run_of,
)
from tests.office import Office, counted


def ran(site: Office, who: str = "editor", category: str = "Runs") -> int:
    """A price rise of one product; the run's number."""
    keys = products(site, "10.00", category=category)
    browser = site.browser(who)
    return run_of(browser.submit(raised(browser, keys), button="Change 1 product"))


def test_a_line_tells_who_did_what_with_which_rows_and_what_came_of_it(
    site: Office,
) -> None:
    """Also what the action was told, and the statement."""
    number = ran(site)
    text = site.browser("admin").get("/admin/runs").text
    assert f"{number}: Raise prices by 10 % Per cent 10 done 1 ticked product" in text
    assert "UPDATE products SET price=" in text
    assert "Emil Editor 1 of 1" in text


@pytest.mark.parametrize(("newer", "part"), [(None, ""), ("99", " in part")])
def test_a_run_that_was_taken_back_says_so_among_the_others(
    site: Office, newer: str | None, part: str
) -> None:
    """By which run, and whether some rows keep what somebody gave them since."""
    keys = products(site, "10.00", "20.00")
    browser = site.browser("editor")
    done = browser.submit(raised(browser, keys), button="Change 2 products")
    if newer is not None:
        site.run("UPDATE products SET price = 99 WHERE id = :id", id=keys[1])
    undo = browser.follow(browser.submit(browser.follow(done), button="Undo…"))
    which = "1 product" if newer else "2 products"
    undone = run_of(browser.submit(undo, button=f"Give back {which}"))
    states = [row[1] for row in browser.get("/admin/runs").rows[:2]]
    assert states == ["done", f"done, taken back{part} by run {undone}"]


def test_the_runs_are_read_with_one_statement_for_what_was_taken_back(
    site: Office,
) -> None:
    """However many of them there are on the page."""
    browser = site.browser("admin")
    ran(site)
    ran(site)
    with counted(site.engine) as sent:
        browser.get("/admin/runs")
    assert len([one for one in sent if "undone_run_id IN" in one]) == 1


def test_runs_are_narrowed_down_by_state_list_and_person(site: Office) -> None:
    """All conditions hold; what is no state of a run is said, and nothing is shown."""
    number = ran(site)
    other = ran(site, "admin")
    browser = site.browser("admin")
    keys = [site.add(make_student).id]
    page = choose(browser, "student", "graduate", keys)
    third = run_of(browser.submit(page, button="Change 1 student"))

    def shown(query: str) -> set[int]:
        text = browser.get(f"/admin/runs?{query}").text
        return {one for one in (number, other, third) if f" {one}: " in text}

    assert shown("view=product&by=Emil+Editor&state=done") == {number}
    assert shown("view=student") == {third}
    assert shown("by=Ada+Admin&state=") == {other, third}
    assert shown("state=open") == set()
    wrong = browser.get("/admin/runs?state=lost")
    assert wrong.status == 400
    assert "“lost” is no state of a run here." in wrong.text
    assert "No run is like this." in wrong.text


def test_what_is_wrong_in_the_address_of_the_runs_shows_none(site: Office) -> None:
    """It is said what; a condition that is not understood is not left out."""
    number = ran(site)
    browser = site.browser("admin")
    for query, words in (
        ("staet=done", "staet is nothing that runs are narrowed down by."),
        ("state=done&state=failed", "state is given twice."),
        (f"before={'9' * 30}", "is no place among the runs."),
    ):
        page = browser.get(f"/admin/runs?{query}")
        assert page.status == 400
        assert words in page.text
        assert f" {number}: " not in page.text


def test_a_run_on_a_list_that_is_gone_says_so(site: Office) -> None:
    """It is among the runs, so it is not said that there is none."""
    number = ran(site)
    with site.session() as session:
        session.get_one(Run, number).view = "old-product"
        session.commit()
    browser = site.browser("admin")
    assert f" {number}: " in browser.get("/admin/runs").text
    page = browser.get(f"/admin/runs/{number}")
    assert page.status == 404
    assert "was on the list old-product, which is not there any more." in page.text


def test_who_sees_their_own_runs_alone_is_offered_no_other_person(
    site: Office,
) -> None:
    """Asking for another one's by name shows nothing of theirs."""
    theirs = ran(site, "admin")
    page = site.browser("editor").get("/admin/runs?by=Ada+Admin")
    assert "Person" not in page.text
    assert f" {theirs}: " not in page.text


@pytest.mark.usefixtures("few_at_once")
def test_a_run_is_followed_without_a_script_until_it_ends(site: Office) -> None:
    """The page that is asked for every 5 s shows more each time, and then rests."""
    products(site, *["10.00"] * 7, category="Followed")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Followed")
    confirmed = browser.submit(page, button="Change 7 products")
    number = run_of(confirmed)
    # Who has confirmed it sees it move, without a click.
    assert browser.follow(confirmed).response.headers["refresh"] == "1"
    page = browser.get(f"/admin/runs/{number}")
    assert "Refresh" not in page.response.headers
    every = page.link("Every 5 s")
    seen = []
    for _ in range(3):
        page = browser.get(every)
        assert page.response.headers["refresh"] == "5"
        seen.append(page.text.partition(" rows met")[0].split(" %")[-1].strip())
        step(site.backoffice.sessions, site.site.worker.resolve, number)
    assert seen == ["0 of 7", "3 of 7", "6 of 7"]
    paused = browser.submit(page, button="Pause")
    assert paused.location == every
    assert page.link("Stand still") == f"/admin/runs/{number}"
    site.site.worker.run_all()
    browser.submit(browser.follow(paused), button="Go on")
    site.site.worker.run_all()
    page = browser.get(every)
    assert "refresh" not in page.response.headers
    assert "7 products were changed." in page.text


def test_the_preflight_says_what_the_action_is_for(site: Office) -> None:
    """Its description, also where it asks for nothing."""
    keys = [site.add(make_student).id]
    page = choose(site.browser("editor"), "student", "graduate", keys)
    assert "Sets the status and nothing else." in page.text


def test_older_runs_keep_the_conditions(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next page begins after the last run of this one, however many come since."""
    monkeypatch.setattr(all_runs, "PAGE", 1)
    first, second = ran(site), ran(site)
    browser = site.browser("admin")
    page = browser.get("/admin/runs?view=product")
    assert f" {second}: " in page.text
    ran(site)
    older = browser.get(page.link("Older"))
    assert f" {first}: " in older.text
    assert f" {second}: " not in older.text
    assert "view=product" in older.link("Newest")


def test_every_row_that_a_run_has_changed_is_found_on_its_page(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few first, then page by page, in the order of their change."""
    monkeypatch.setattr(runs, "CHANGED_SHOWN", 2)
    monkeypatch.setattr(runs, "CHANGED_PAGE", 3)
    keys = products(site, *["10.00"] * 6)
    for key in keys:
        site.run(f"UPDATE products SET name = 'Thing {key}' WHERE id = {key}")
    browser = site.browser("editor")
    page = browser.follow(
        browser.submit(raised(browser, keys), button="Change 6 products")
    )
    seen = []
    for _ in range(3):
        seen.append([key for key in keys if f"Thing {key} Price" in page.text])
        if len(seen) < 3:
            page = browser.get(page.link("More rows"))
    assert seen == [keys[:2], keys[2:5], keys[5:]]
    assert page.link("First rows")
