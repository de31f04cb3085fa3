"""Reads the histories that providers keep, page by page, as facts. One module per provider; `sources` has the table."""
