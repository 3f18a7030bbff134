"""Models written for use without PyTorch."""
