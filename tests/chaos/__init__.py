"""Faults on real processes, under load: what can be read afterwards is what a batch computation says."""
