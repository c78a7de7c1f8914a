"""The back office as SQLAdmin shows it."""
