"""The demo's four subjects; importing this makes `Base.metadata` whole."""

from models import analyses, publishing, school, shop

__all__ = ["analyses", "publishing", "school", "shop"]
