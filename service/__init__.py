"""HTTP in and out: webhook receivers, ingest and query API, exporter, live page, settings, command line."""
