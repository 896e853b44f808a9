"""The only place that speaks HTTP: one request in, one bounded answer out."""
