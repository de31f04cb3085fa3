"""From the log to the live state: batches in, one atomic commit per stream and batch out."""
