"""The demo project: a school, a shop, publishing, and text analyses."""
