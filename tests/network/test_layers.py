"""The layers of NCSN++."""

from math import sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from speechduet.network.layers import (
    ALMOST_ZERO,
    Attention,
    FourierTimeEmbedding,
    ResidualBlock,
    convolution,
    downsample,
    group_norm,
    normalised_silu,
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


def test_convolutions_are_kept_in_channels_last_with_the_same_first_weights() -> None:
    torch.manual_seed(1)
    weight = convolution(8, 4, 3).weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    torch.manual_seed(1)
    plain = nn.Conv2d(8, 4, 3)
    nn.init.xavier_uniform_(plain.weight)
    torch.testing.assert_close(weight, plain.weight, rtol=0, atol=0, check_stride=False)


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


def plain_block(block: ResidualBlock, x: Tensor, embedding: Tensor | None) -> Tensor:
    """The residual block as published: resampled before both branches, nothing overwritten."""

    def resampled(x: Tensor) -> Tensor:
        return upsample(x) if block.up else downsample(x) if block.down else x

    h = block.convolution_in(resampled(functional.silu(block.norm_in(x))))
    if embedding is not None:
        h = h + block.time(functional.silu(embedding))[:, :, None, None]
    h = block.convolution_out(functional.silu(block.norm_out(h)))
    expected: Tensor = (block.shortcut(resampled(x)) + h) / sqrt(2)
    return expected


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize(
    "block",
    [
        ResidualBlock(8, 8, 16),
        ResidualBlock(8, 12, 16),
        ResidualBlock(8, 8, 16, up=True),
        ResidualBlock(8, 8, 16, down=True),
    ],
    ids=["same", "wider", "up", "down"],
)
def test_a_residual_block_is_the_published_one(
    block: ResidualBlock, timed: bool, layout: torch.memory_format
) -> None:
    """Value and all gradients, biases (which differ at the border) awake, and x is left alone."""
    block = block.double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 8, 4, 6).double().contiguous(memory_format=layout).requires_grad_()
    embedding = torch.randn(2, 16).double().requires_grad_() if timed else None
    copy = x.detach().clone()
    found, expected = block(x, embedding), plain_block(block, x, embedding)
    torch.testing.assert_close(found, expected, check_stride=False)
    with torch.inference_mode():
        torch.testing.assert_close(block(x, embedding), expected.detach(), check_stride=False)
    torch.testing.assert_close(x.detach(), copy, rtol=0, atol=0)
    leaves = [x, *(p for p in block.parameters() if timed or p.shape[-1:] != (16,))]
    leaves = [leaf for leaf in leaves if timed or leaf is not block.time.bias]
    leaves += [embedding] if embedding is not None else []
    direction = torch.randn_like(expected)
    for gradient, plain in zip(
        torch.autograd.grad(found, leaves, direction),
        torch.autograd.grad(expected, leaves, direction),
        strict=True,
    ):
        torch.testing.assert_close(gradient, plain, check_stride=False)


def test_normalised_silu_overwrites_only_where_nothing_is_differentiated() -> None:
    norm, x = group_norm(8), torch.randn(2, 8, 3, 5)
    expected = functional.silu(norm(x))
    found = normalised_silu(norm, x)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    assert norm.weight.grad is not None
    with torch.no_grad():
        torch.testing.assert_close(normalised_silu(norm, x), expected)


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
    embedding = FourierTimeEmbedding(8, 16.0)
    assert "frequencies" in embedding.state_dict()
    assert "frequencies" not in dict(embedding.named_parameters())
    assert embedding(torch.tensor([0.03, 0.5, 1.0])).shape == (3, 32)
    for scale in (2.0, 16.0):
        frequencies = FourierTimeEmbedding(256, scale).frequencies
        torch.testing.assert_close(frequencies.std().item(), scale, rtol=0.2, atol=0)


def test_almost_zero_is_not_zero() -> None:
    """So that gradients pass from the first step on."""
    weight = ResidualBlock(8, 8, 16).convolution_out.weight
    assert 0 < weight.abs().max() < 10 * ALMOST_ZERO
