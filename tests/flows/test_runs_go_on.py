"""Runs that ended early, or not with every row: gone on with, and tried once more."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from backoffice.admin.own_names import TOKEN
from backoffice.jobs.walking import Interrupted
from models.shop import Product
from tests.browser import Browser, Seen
from tests.flows.actions import (
    bulk_settings,
    choose,
    entries,
    few_at_once,  # noqa: F401 - a fixture
    price,
    products,
    queued,
    raised,
    run_of,
)
from tests.office import Office

pytestmark = pytest.mark.usefixtures("few_at_once")


def half_way(site: Office, category: str) -> tuple[list[int], Browser, str]:
    """A run of seven rows of which three are done; its address."""
    keys = products(site, *["10.00"] * 7, category=category)
    browser = site.browser("editor")
    page = raised(browser, None, f"category={category}")
    confirmed = browser.submit(page, button="Change 7 products")
    url = f"/admin/runs/{run_of(confirmed)}"
    worker = site.site.worker
    left = iter([False, True])
    with pytest.raises(Interrupted):
        worker.walk(int(url.rpartition("/")[2]), lambda: next(left))
    assert [price(site, key) for key in keys].count(Decimal("11.00")) == 3
    return keys, browser, url


def test_a_cancelled_run_goes_on_where_it_was(site: Office) -> None:
    """Each row is met once in all, with one entry; asked twice it goes on once."""
    keys, browser, url = half_way(site, "Cancelled")
    browser.submit(browser.get(url), button="Cancel the rest")
    site.site.worker.run_all()
    cancelled = browser.get(url)
    assert "Cancelled: 3 products were changed." in cancelled.text
    assert "It goes on with the 4 rows that it has not met." in cancelled.text
    browser.submit(cancelled, button="Go on")
    browser.submit(cancelled, button="Go on")
    assert queued(site).count(url.rpartition("/")[2]) == 1
    site.site.worker.run_all()
    assert {price(site, key) for key in keys} == {Decimal("11.00")}
    assert "7 products were changed." in browser.get(url).text
    written = entries(site, int(url.rpartition("/")[2]))
    assert sorted(one.key for one in written) == sorted(str(key) for key in keys)


def test_a_failed_run_goes_on_where_it_was(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stopped it was mended: the rest is done, and nothing twice."""
    keys, browser, url = half_way(site, "Failed")
    worker = site.site.worker

    def broken(*_given: object) -> object:
        raise ValueError

    with monkeypatch.context() as patch:
        patch.setattr(worker, "resolve", broken)
        worker.run_all()
    failed = browser.get(url)
    assert "Failed: 3 products were changed." in failed.text
    browser.submit(failed, button="Go on")
    worker.run_all()
    assert {price(site, key) for key in keys} == {Decimal("11.00")}
    assert "7 products were changed." in browser.get(url).text


def test_a_run_whose_rows_were_cleared_does_not_go_on(site: Office) -> None:
    """Nobody knows any more which rows were left; the button is not there."""
    _keys, browser, url = half_way(site, "Cleared")
    browser.submit(browser.get(url), button="Cancel the rest")
    site.site.worker.run_all()
    number = int(url.rpartition("/")[2])
    site.run(f"UPDATE backoffice_runs SET cleared_at = now() WHERE id = {number}")
    page = browser.get(url)
    assert "Go on" not in page.html
    sent = {TOKEN: browser.token(), "do": "resume"}
    browser.post(url, sent)
    assert str(number) not in queued(site)


def test_on_its_way_a_run_says_what_was_done_so_far(site: Office) -> None:
    """Also while it waits for the next worker; what is over is told as over."""
    _keys, browser, url = half_way(site, "So far")
    found = browser.get(url).text
    assert "3 of 7 products changed so far." in found
    assert "products were changed" not in found


def test_a_deletion_goes_on_only_for_who_is_sure(site: Office) -> None:
    """As before its first row: a box to be ticked, and a button in red."""
    keys = products(site, *["10.00"] * 5, category="Deleted")
    browser = site.browser("editor")
    page = choose(browser, "product", "delete-selected", None, "category=Deleted")
    ran = browser.submit(page, {"sure": "yes"}, button="Delete up to 5 products")
    browser.submit(browser.follow(ran), button="Cancel the rest")
    site.site.worker.run_all()
    page = browser.get(ran.location)
    assert "Yes, delete up to 5 products more" in page.text
    assert 'class="btn btn-danger" name="do" value="resume"' in page.html
    refused = browser.follow(browser.submit(page, button="Go on"))
    assert "Say that you are sure. Nothing was run." in refused.text
    site.site.worker.run_all()
    assert all(site.read(Product, key) for key in keys)
    browser.submit(page, {"sure": "yes"}, button="Go on")
    site.site.worker.run_all()
    assert "5 products were deleted." in browser.get(ran.location).text


def test_a_worker_that_was_lost_is_named_beside_who_went_on(site: Office) -> None:
    """With when it was heard of last."""
    _keys, browser, url = half_way(site, "Lost")
    number = int(url.rpartition("/")[2])
    site.run(
        "UPDATE backoffice_runs SET batches = 2, worker = 'second', lost = "
        """'[{"worker": "first", "seen_at": "2024-05-01T10:00:00+00:00","""
        """ "at": "2024-05-01T10:01:00+00:00"}]' WHERE id = :id""",
        id=number,
    )
    found = browser.get(url).text
    lines = (
        "Last batch, by worker second",
        "Another worker went on from the last batch",
        "Worker first was lost: last heard of",
        "Begun",
    )
    assert [found.index(line) for line in lines] == sorted(map(found.index, lines))


@pytest.fixture
def cheap(site: Office) -> Iterator[None]:
    """A rule that some rows break; a test may take it away."""
    site.run("ALTER TABLE products ADD CONSTRAINT cheap CHECK (price < 100) NOT VALID")
    yield
    site.run("ALTER TABLE products DROP CONSTRAINT IF EXISTS cheap")


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.usefixtures("cheap")
def test_what_was_refused_is_tried_again(site: Office, count: int) -> None:
    """By the worker, also of a run that was done at once; the rule is gone by then."""
    category = f"Refused {count}"
    keys = products(site, "95.00", *["10.00"] * count, category=category)
    browser = site.browser("editor")
    with bulk_settings(site, at_once=3, tried_seconds=30):
        page = raised(browser, None, f"category={category}")
        ran = browser.submit(page, button=f"Change {count} products")
    site.site.worker.run_all()
    done = browser.follow(ran)
    assert f"{count} products were changed and 1 was refused." in done.text
    site.run("ALTER TABLE products DROP CONSTRAINT cheap")
    browser.submit(done, button="Try it again")
    site.site.worker.run_all()
    again = browser.get(ran.location)
    assert f"{count + 1} products were changed." in again.text
    assert price(site, keys[0]) == Decimal("104.50")
    assert "Try it again" not in again.html


@pytest.mark.usefixtures("cheap")
def test_what_is_refused_again_stays_listed(site: Office) -> None:
    """The counts are the same as before, and so is the reason."""
    products(site, "95.00", "10.00", "10.00", "10.00", category="Again")
    browser = site.browser("editor")
    with bulk_settings(site, at_once=3, tried_seconds=30):
        page = raised(browser, None, "category=Again")
        ran = browser.submit(page, button="Change 3 products")
    site.site.worker.run_all()
    first = browser.follow(ran)
    browser.submit(first, button="Try it again")
    site.site.worker.run_all()
    assert reasons(browser.get(ran.location)) == reasons(first)
    assert "3 products were changed and 1 was refused." in first.text


def reasons(page: Seen) -> list[list[str]]:
    """The rows that were not changed, with their reasons."""
    return [row for row in page.rows if len(row) == 2]


def test_a_run_does_not_go_on_for_one_who_may_not_do_it(site: Office) -> None:
    """A worker has no rights of its own: they are asked for when it is queued."""
    keys, browser, url = half_way(site, "Rights")
    browser.submit(browser.get(url), button="Cancel the rest")
    site.site.worker.run_all()
    site.run(
        "UPDATE backoffice_runs SET action = 'no-such-action' WHERE id = "
        + url.rpartition("/")[2]
    )
    assert "Go on" not in browser.get(url).html
    sent = {TOKEN: browser.token(), "do": "resume"}
    assert browser.post(url, sent).status == 403
    assert price(site, keys[6]) == Decimal("10.00")
