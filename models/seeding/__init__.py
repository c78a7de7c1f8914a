"""The demo's rows, as `manage.py seed` finds them: sizes, plan, files."""

from models.seeding.demo import SIZES, plan

__all__ = ["SIZES", "plan"]
