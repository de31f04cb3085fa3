"""Reads single items again through their provider's API, where a webhook does not say enough."""
