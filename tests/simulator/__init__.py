"""Value streams whose trouble is known: simulated item by item, to measure what a detector sees of it."""
