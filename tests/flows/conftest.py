"""The site that whole stories are played on."""

from tests.chromium import browser  # noqa: F401 - a fixture
from tests.office import (  # noqa: F401 - fixtures
    nobody_has_failed,
    office_url,
    quick_passwords,
    site,
)
