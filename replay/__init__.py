"""Replay of CSV files through the streaming segmenter, and a check of it against batch EM."""
