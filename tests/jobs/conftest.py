"""Batches of four rows, so that a run of some dozens has many."""

import pytest

from backoffice.bulk import batches


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches stay as small as they were made."""
    monkeypatch.setattr(batches, "LEAST", 4)
    monkeypatch.setattr(batches, "MOST", 4)
