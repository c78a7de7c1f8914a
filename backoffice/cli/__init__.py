"""The command line of manage.py."""
