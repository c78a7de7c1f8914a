"""Many rows changed at once: chosen, tried out, run, told of, and taken back."""
