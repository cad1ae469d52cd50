"""Streams: one learning loop, and the models that it drives."""
