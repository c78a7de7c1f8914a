"""How staff choose many records and have them changed, and what is left of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from backoffice.admin.own_names import TOKEN
from backoffice.audit.models import AuditEntry
from backoffice.bulk import batches
from models.shop import Product
from tests.browser import Browser, Seen
from tests.factories import make_product
from tests.office import Office


def choose(
    browser: Browser,
    view: str,
    action: str,
    keys: list[Any] | None = None,
    query: str = "",
) -> Seen:
    """Tick rows of a list, or take all that match, and ask what would change."""
    sent: dict[str, Any] = {
        TOKEN: browser.token(),
        "action": action,
        "query": query,
        "which": "all" if keys is None else "ticked",
        "id": [str(key) for key in keys or ()],
    }
    return browser.follow(browser.post(f"/admin/{view}/actions", sent))


def products(site: Office, *prices: str, **given: Any) -> list[int]:
    """New products at these prices; their keys."""
    return [
        site.add(make_product, price=Decimal(price), **given).id for price in prices
    ]


def price(site: Office, key: int) -> Decimal:
    """What a product costs now."""
    found: Decimal = site.read(Product, key).price
    return found


def entries(site: Office, run: int) -> list[AuditEntry]:
    """What a run has written into the audit."""
    with site.session() as session:
        query = select(AuditEntry).where(AuditEntry.run_id == run)
        return list(session.scalars(query.order_by(AuditEntry.id)))


def raised(browser: Browser, keys: list[int] | None, query: str = "") -> Seen:
    """The preflight of a price rise by 10 %."""
    asked = choose(browser, "product", "raise-prices", keys, query)
    return browser.follow(browser.submit(asked, {"percent": "10"}))


def run_of(seen: Seen) -> int:
    """The number of the run that an answer leads to."""
    assert seen.location.startswith("/admin/runs/"), seen.text
    return int(urlsplit(seen.location).path.rpartition("/")[2])


@contextmanager
def bulk_settings(site: Office, **values: Any) -> Iterator[None]:
    """Other settings of bulk actions, for a while."""
    before = site.backoffice.settings
    bulk = before.bulk.model_copy(update=values)
    object.__setattr__(
        site.backoffice, "settings", before.model_copy(update={"bulk": bulk})
    )
    try:
        yield
    finally:
        object.__setattr__(site.backoffice, "settings", before)


@pytest.fixture
def few_at_once(site: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three rows at once are the most here."""
    for name in ("FIRST_SIZE", "LEAST", "MOST"):
        monkeypatch.setattr(batches, name, 3)
    with bulk_settings(site, at_once=3):
        yield


def queued(site: Office) -> list[str]:
    """The runs that jobs in the queue lead to."""
    found = site.values(
        "SELECT args ->> 'run_id' FROM procrastinate_jobs "
        "WHERE task_name = 'backoffice.walk' ORDER BY id"
    )
    return [row[0] for row in found]
