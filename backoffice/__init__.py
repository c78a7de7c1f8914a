"""A Django-style admin on SQLAdmin that never hides what the database is doing."""
