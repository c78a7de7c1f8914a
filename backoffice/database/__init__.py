"""A working connection to the database, and what the database knows about itself."""
