"""The demo's rows, as `manage.py seed` finds them: sizes, plan, files, first steps."""

from models.seeding import uci
from models.seeding.demo import FIRST_STEPS, SIZES, plan

IMPORTS = (uci.IMPORT,)

__all__ = ["FIRST_STEPS", "IMPORTS", "SIZES", "plan"]
