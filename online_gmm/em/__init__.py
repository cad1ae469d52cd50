"""Expectation-maximisation on arrays: batch, incremental, warm start, M-step settings."""
