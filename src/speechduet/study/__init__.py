"""Sweeps over systems and sampler settings: measured once, picked on validation, drawn."""
