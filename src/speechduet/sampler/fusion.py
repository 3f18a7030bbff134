"""Blend the result of the generative path with the predictive estimate."""

from torch import Tensor


def fuse(generative: Tensor, predictive: Tensor, weight: float | Tensor) -> Tensor:
    """``weight * generative + (1 - weight) * predictive`` (paper eq. 12 and 13)."""
    return weight * generative + (1 - weight) * predictive
