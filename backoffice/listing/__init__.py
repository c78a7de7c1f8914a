"""One page of a big table, as the query string describes it."""
