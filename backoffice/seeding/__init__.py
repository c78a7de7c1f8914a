"""Believable rows in any amount."""
