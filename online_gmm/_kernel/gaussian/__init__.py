"""Gaussian components: statistics, parameters (M-step) and densities (E-step)."""
