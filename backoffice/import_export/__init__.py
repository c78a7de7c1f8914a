"""Rows in and out as files."""
