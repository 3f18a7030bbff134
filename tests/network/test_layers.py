"""The layers of NCSN++."""

from math import sqrt

import torch
from torch.nn import functional

from speechduet.network.layers import (
    ALMOST_ZERO,
    Attention,
    ResidualBlock,
    TimeEmbedding,
    convolution,
    downsample,
    group_norm,
    upsample,
)

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])


def test_upsampling_is_zero_stuffing_and_filtering() -> None:
    x = torch.randn(1, 2, 3, 5)
    stuffed = torch.zeros(1, 2, 6, 10)
    stuffed[..., ::2, ::2] = x
    kernel = torch.outer(TAPS, TAPS)[None, None].expand(2, 1, 4, 4) / 16
    expected = functional.conv2d(functional.pad(stuffed, (2, 1, 2, 1)), kernel, groups=2)
    torch.testing.assert_close(upsample(x), expected)


def test_downsampling_is_filtering_and_decimation() -> None:
    x = torch.randn(1, 2, 6, 10)
    kernel = torch.outer(TAPS, TAPS)[None, None].expand(2, 1, 4, 4) / 64
    filtered = functional.conv2d(functional.pad(x, (1, 1, 1, 1)), kernel, groups=2)
    torch.testing.assert_close(downsample(x), filtered[..., ::2, ::2])


def test_resampling_keeps_the_level_inside() -> None:
    ones = torch.ones(1, 1, 8, 8)
    torch.testing.assert_close(upsample(ones)[..., 1:-1, 1:-1], torch.ones(1, 1, 14, 14))
    torch.testing.assert_close(downsample(ones)[..., 1:-1, 1:-1], torch.ones(1, 1, 2, 2))


def test_convolutions_start_with_unit_variance_by_fan_average() -> None:
    layer = convolution(64, 32, 3)
    variance = 1 / (9 * (64 + 32) / 2)
    torch.testing.assert_close(layer.weight.var().item(), variance, rtol=0.05, atol=0)
    assert layer.bias is not None and not layer.bias.any()


def test_groups_of_the_normalisation() -> None:
    assert [group_norm(c).num_groups for c in (4, 8, 128, 256)] == [1, 2, 32, 32]
    assert group_norm(8).eps == 1e-6


def test_a_new_residual_block_is_its_shortcut() -> None:
    x, embedding = torch.randn(2, 8, 4, 4), torch.randn(2, 16)
    torch.testing.assert_close(
        ResidualBlock(8, 8, 16)(x, embedding), x / sqrt(2), rtol=0, atol=1e-3
    )


def test_shapes_of_residual_blocks() -> None:
    x = torch.randn(2, 8, 4, 6)
    assert ResidualBlock(8, 12, 16)(x, None).shape == (2, 12, 4, 6)
    assert ResidualBlock(8, 8, 16, up=True)(x, None).shape == (2, 8, 8, 12)
    assert ResidualBlock(8, 8, 16, down=True)(x, None).shape == (2, 8, 2, 3)


def test_attention_is_a_softmax_over_all_positions() -> None:
    attention = Attention(8)
    torch.nn.init.normal_(attention.output.weight)
    x = torch.randn(1, 8, 3, 4)
    h = attention.norm(x).flatten(2)[0].t()
    scores = attention.query(h) @ attention.key(h).t() / sqrt(8)
    mixed = attention.output(scores.softmax(-1) @ attention.value(h))
    expected = (x + mixed.t().reshape(1, 8, 3, 4)) / sqrt(2)
    torch.testing.assert_close(attention(x), expected, rtol=1e-4, atol=1e-5)


def test_time_embedding() -> None:
    embedding = TimeEmbedding(8)
    assert "frequencies" in embedding.state_dict()
    assert "frequencies" not in dict(embedding.named_parameters())
    assert embedding(torch.tensor([0.03, 0.5, 1.0])).shape == (3, 32)
    frequencies = TimeEmbedding(256).frequencies
    torch.testing.assert_close(frequencies.std().item(), 16.0, rtol=0.2, atol=0)


def test_almost_zero_is_not_zero() -> None:
    """So that gradients pass from the first step on."""
    weight = ResidualBlock(8, 8, 16).convolution_out.weight
    assert 0 < weight.abs().max() < 10 * ALMOST_ZERO
