"""Rows are taken out of a selection, also where the sample does not show them."""

from decimal import Decimal

import pytest

from backoffice.admin.own_names import DO
from backoffice.admin.pages import choosing
from tests.browser import Seen
from tests.factories import make_product
from tests.flows.actions import price, products, raised
from tests.office import Office


def ticked(page: Seen) -> list[str]:
    """The rows of a page that are still in."""
    return list(page.form().data({}).get("row", []))


def test_any_row_of_a_large_selection_is_taken_out(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page with ticks; no key stands in an address, and the rest is run."""
    monkeypatch.setattr(choosing, "PAGE", 10)
    keys = products(site, *["10.00"] * 14, category="Many")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Many")
    rows = browser.follow(browser.submit(page, button="Take rows out"))
    assert ticked(rows) == [str(key) for key in keys[:10]]
    following = browser.follow(browser.submit(rows, button="Keep, and next rows"))
    assert ticked(following) == [str(key) for key in keys[10:]]
    address = str(following.response.url).partition("?")[2]
    assert address.startswith("after=")
    assert not any(str(key) in address.split("=") for key in keys)
    kept = browser.submit(
        following,
        {"row": [str(key) for key in keys[11:]]},
        button="Keep, and show what would change",
    )
    page = browser.follow(kept)
    assert "13 products will change." in page.text
    assert "1 row taken out" in page.text
    browser.submit(page, button="Change 13 products")
    assert price(site, keys[10]) == Decimal("10.00")
    assert price(site, keys[13]) == Decimal("11.00")


def test_the_rows_are_paged_back_as_well(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the very rows that were before; the first page has none before it."""
    monkeypatch.setattr(choosing, "PAGE", 4)
    keys = [str(key) for key in products(site, *["10.00"] * 11, category="Back")]
    browser = site.browser("editor")
    page = raised(browser, None, "category=Back")
    first = browser.follow(browser.submit(page, button="Take rows out"))
    assert "Previous rows" not in first.text
    second = browser.follow(browser.submit(first, button="Keep, and next rows"))
    third = browser.follow(browser.submit(second, button="Keep, and next rows"))
    assert ticked(third) == keys[8:]
    back = browser.get(third.link("Previous rows"))
    assert ticked(back) == keys[4:8]
    start = browser.get(back.link("Previous rows"))
    assert ticked(start) == keys[:4]
    assert "Previous rows" not in start.text
    again = browser.follow(browser.submit(start, button="Keep, and next rows"))
    assert ticked(again) == keys[4:8]


def test_a_row_that_was_taken_out_is_searched_for_and_taken_in_again(
    site: Office,
) -> None:
    """The search is the list's own, within the selection; ticking brings it back."""
    products(site, *["10.00"] * 9, category="Found")
    site.add(make_product, name="Zither", category="Found", price=Decimal("10.00"))
    site.add(make_product, name="Zither two", category="Elsewhere")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Found")
    rows = browser.follow(browser.submit(page, button="Take rows out"))
    found = browser.get(f"{rows.response.url}?search=zither")
    (key,) = ticked(found)
    out = browser.submit(found, {"row": []}, button="Keep, and show what would change")
    assert "9 products will change." in browser.follow(out).text
    again = browser.get(f"{rows.response.url}?search=zither")
    assert ticked(again) == []
    sent = {**again.form().data({}), "row": [key], DO: "keep"}
    back = browser.follow(browser.post(str(rows.response.url), sent))
    assert "10 products will change." in back.text


def test_rows_that_were_unticked_in_the_sample_are_out_on_their_page(
    site: Office,
) -> None:
    """What was unticked before is not forgotten on the way."""
    keys = products(site, *["10.00"] * 9, category="Before")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Before")
    rows = browser.follow(
        browser.submit(
            page, {"row": [str(key) for key in keys[1:8]]}, button="Take rows out"
        )
    )
    assert ticked(rows) == [str(key) for key in keys[1:]]


def test_more_than_can_be_kept_is_said(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the page is kept then."""
    monkeypatch.setattr(choosing, "MOST", 2)
    products(site, *["10.00"] * 9, category="Most")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Most")
    rows = browser.follow(browser.submit(page, button="Take rows out"))
    kept = browser.submit(rows, {"row": []}, button="Keep, and show what would change")
    page = browser.follow(kept)
    assert "At most 2 rows can be taken out by hand" in page.text
    assert len(ticked(page)) == 9
