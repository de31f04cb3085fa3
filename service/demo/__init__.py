"""A simulated organisation, for `streamgauge demo`."""
