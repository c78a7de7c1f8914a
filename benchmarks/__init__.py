"""How fast is it? Ratios against a named baseline, measured in one run."""
