"""What Streamgauge measures of itself: `make bench`. Ratios are taken within one run; medians, with the spread."""
