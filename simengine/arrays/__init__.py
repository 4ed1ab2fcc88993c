"""Arrays below everything: cell lists, lanes, exact sums, partners, lookups."""
