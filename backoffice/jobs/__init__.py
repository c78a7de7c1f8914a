"""Long work, batch by batch: what runs it, and what keeps it going."""
