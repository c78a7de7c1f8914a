"""The one way a record is written, refused or deleted."""
