"""The demo's rows, as `manage.py seed` finds them: sizes, plan, files."""

from models.seeding import uci
from models.seeding.demo import SIZES, plan

IMPORTS = (uci.IMPORT,)

__all__ = ["IMPORTS", "SIZES", "plan"]
