"""The domain of Streamgauge: facts in, measures out. No input or output, no clock, no asyncio."""
