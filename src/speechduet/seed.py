"""Seeds of random numbers."""

MOST_SEED = 2**64 - 1
"""As in PyTorch and NumPy's own generators."""
