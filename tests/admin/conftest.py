"""The site, for tests of its pages over HTTP."""

from tests.chromium import browser  # noqa: F401 - a fixture
from tests.office import (  # noqa: F401 - fixtures
    lab,
    nobody_has_failed,
    office_url,
    quick_passwords,
    site,
)
