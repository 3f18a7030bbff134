"""Fusion of the two decoders."""

import torch

from speechduet.sampler import fuse


def test_the_weight_is_the_generative_result_s() -> None:
    """As eq. 12 and 13 are written; the paper's flowchart draws it the other way round."""
    generative, predictive = torch.tensor([10.0]), torch.tensor([20.0])
    assert fuse(generative, predictive, 0.2).item() == 18.0
    assert fuse(generative, predictive, 1.0).item() == 10.0
    assert fuse(generative, predictive, 0.0).item() == 20.0
