"""What happened to which record, and who did it."""
