"""Rows that an action leaves out: each of them is named, and none stops the rest."""

from decimal import Decimal

import pytest
from sqlalchemy import select

from backoffice.admin.pages import confirming, runs
from backoffice.bulk.models import RunRow
from tests.flows.actions import (
    bulk_settings,
    few_at_once,  # noqa: F401 - a fixture
    price,
    products,
    raised,
    run_of,
)
from tests.office import Office

# Above what the column holds, once it is raised.
FULL = "99999999.00"


def names(site: Office, keys: list[int]) -> list[str]:
    """What products are called."""
    found = site.values(f"SELECT name FROM products WHERE id IN {tuple(keys)}")
    return [row[0] for row in found]


def test_every_row_that_is_refused_is_named_before_and_after(site: Office) -> None:
    """More than twenty are no reason to refuse the others, and none is hidden."""
    bad = products(site, *[FULL] * 25, category="Full")
    good = products(site, "10.00", "20.00", category="Full")
    browser = site.browser("editor")
    with bulk_settings(site, tried_seconds=30):
        page = raised(browser, None, "category=Full")
    assert "2 products will change and 25 are refused" in page.text
    assert all(name in page.text for name in names(site, bad))
    ran = browser.submit(page, button="Change 2 products")
    assert [price(site, key) for key in good] == [Decimal("11.00"), Decimal("22.00")]
    done = browser.follow(ran)
    assert all(name in done.text for name in names(site, bad))


def test_what_was_not_found_out_in_time_is_left_out_all_the_same(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only some of the refused are known: the run finds the others and lists them."""
    bad = products(site, *[FULL] * 5, category="Some")
    good = products(site, "10.00", category="Some")
    browser = site.browser("editor")
    with bulk_settings(site, tried_seconds=30):
        monkeypatch.setattr(confirming, "LISTED", 2)
        page = raised(browser, None, "category=Some")
    assert "at least 2 are refused" in page.text
    ran = browser.submit(page, button="Change up to 6 products")
    assert price(site, good[0]) == Decimal("11.00")
    run = run_of(ran)
    with site.session() as session:
        left = session.scalars(select(RunRow).where(RunRow.run_id == run)).all()
    assert {row.key for row in left} == {str(key) for key in bad}
    assert {row.state for row in left} == {"refused"}


def test_the_rows_of_a_run_are_paged(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at a time here: every row that was not changed is on one of the pages."""
    monkeypatch.setattr(runs, "LEFT_SHOWN", 2)
    bad = products(site, *[FULL] * 5, category="Paged")
    products(site, "10.00", category="Paged")
    browser = site.browser("editor")
    with bulk_settings(site, tried_seconds=30):
        page = raised(browser, None, "category=Paged")
    seen = browser.follow(browser.submit(page, button="Change 1 product"))
    pages = [seen]
    while any(label == "More rows" for label, _ in pages[-1].page.links):
        pages.append(browser.get(pages[-1].link("More rows")))
    assert len(pages) == 3
    assert all(sum(name in one.text for one in pages) == 1 for name in names(site, bad))
    assert pages[-1].link("First rows") == seen.response.url.path


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.usefixtures("few_at_once")
def test_an_undo_lists_every_row_that_was_changed_since(
    site: Office, count: int
) -> None:
    """At once or by the worker: left alone, and named with its reason."""
    keys = products(site, *["10.00"] * (count + 4), category=f"Since {count}")
    browser = site.browser("editor")
    ran = browser.submit(
        raised(browser, None, f"category=Since {count}"),
        button=f"Change {count + 4} products",
    )
    site.site.worker.run_all()
    for key in keys[:4]:
        site.run("UPDATE products SET price = 99 WHERE id = :id", id=key)
    undo = browser.follow(browser.submit(browser.follow(ran), button="Undo…"))
    assert "4 were changed since and will be left alone" in undo.text
    undone = browser.submit(undo, button=f"Give back {count} products")
    site.site.worker.run_all()
    found = [price(site, key) for key in keys]
    assert found == [Decimal("99.00")] * 4 + [Decimal("10.00")] * count
    done = browser.follow(undone)
    assert f"{count} products were changed and 4 were left alone." in done.text
    assert all(name in done.text for name in names(site, keys[:4]))
    assert "rows met" not in done.text
