"""A project that is not ours: a digital music shop."""
