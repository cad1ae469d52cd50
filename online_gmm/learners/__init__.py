"""Learners with river's API: a mixture, a hidden Markov model."""
