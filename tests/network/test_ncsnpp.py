"""NCSN++ as an encoder and a decoder. That its function is upstream's is shown in test_parity."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from speechduet.errors import SettingError
from speechduet.network.backbone import Features
from speechduet.network.layers import Attention
from speechduet.network.ncsnpp import SGMSE_PLUS, STORM, NCSNpp

TINY = NCSNpp(
    base_channels=4, multipliers=(1, 2, 2), residual_blocks=2, attention_bins=(16,), bins=32
)
TIMES = torch.tensor([0.3, 0.9])


def spectrograms(frames: int = 64, batch: int = 2) -> Tensor:
    return torch.randn(batch, 4, 32, frames)


def awake(module: torch.nn.Module) -> torch.nn.Module:
    """With weights at which nothing is nearly silent, as it is in a new network."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


@torch.inference_mode()
def test_features() -> None:
    x = spectrograms()
    features = TINY.encoder(2, timed=True)(x, TIMES)
    assert isinstance(features.skips, tuple)
    assert [skip.shape[1] for skip in features.skips] == list(TINY.skip_channels())
    assert [skip.shape[2] for skip in features.skips] == [32] * 3 + [16] * 3 + [8] * 3
    assert features.bottleneck.shape == (2, 8, 8, 16)
    assert features.embedding is not None and features.embedding.shape == (2, 16)
    assert features.spectrograms is x and features.t is TIMES


@torch.inference_mode()
def test_two_decoders_share_the_features() -> None:
    features: Features = awake(TINY.encoder(2, timed=True))(spectrograms(), TIMES)
    generative = awake(TINY.decoder(2, timed=True, generative=True))
    predictive = awake(TINY.decoder(2, timed=True, generative=False))
    copies = [skip.clone() for skip in features.skips]
    first = generative(features)
    assert predictive(features).shape == first.shape == (2, 2, 32, 64)
    torch.testing.assert_close(generative(features), first, rtol=0, atol=0)
    torch.testing.assert_close(list(features.skips), copies, rtol=0, atol=0)


@torch.inference_mode()
def test_heads_of_the_two_decoders() -> None:
    """The generative one divides by t before its last convolution, and its sign is turned."""
    features: Features = awake(TINY.encoder(2, timed=True))(spectrograms(), TIMES)
    generative = awake(TINY.decoder(2, timed=True, generative=True))
    predictive = TINY.decoder(2, timed=True, generative=False).eval()
    predictive.load_state_dict(generative.state_dict())
    bias = generative.output.bias[:, None, None]
    plain = predictive(features) - bias
    torch.testing.assert_close(
        generative(features), -(plain / TIMES[:, None, None, None] + bias), rtol=1e-4, atol=1e-5
    )
    unscaled = NCSNpp(4, (1, 2, 2), 2, (16,), 32, scale_by_time=False).decoder(2, True, True)
    unscaled.load_state_dict(generative.state_dict())
    torch.testing.assert_close(unscaled.eval()(features), -predictive(features))


@torch.inference_mode()
def test_time_matters_where_there_is_one() -> None:
    x = spectrograms()
    encoder = awake(TINY.encoder(2, timed=True))
    assert not torch.allclose(encoder(x, TIMES).bottleneck, encoder(x, TIMES / 2).bottleneck)
    untimed = awake(TINY.encoder(2, timed=False))
    features = untimed(x, None)
    assert features.embedding is None
    torch.testing.assert_close(untimed(x, TIMES).bottleneck, features.bottleneck, rtol=0, atol=0)
    assert awake(TINY.decoder(2, timed=False, generative=False))(features).isfinite().all()


@torch.inference_mode()
def test_examples_of_a_batch_do_not_mix() -> None:
    x = spectrograms()
    encoder = awake(TINY.encoder(2, timed=True))
    decoder = awake(TINY.decoder(2, timed=True, generative=True))
    together = decoder(encoder(x, TIMES))
    for index in range(2):
        alone = decoder(encoder(x[index : index + 1], TIMES[index : index + 1]))
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_input_that_is_not_centred_is_mapped() -> None:
    x = spectrograms()
    centred = awake(NCSNpp(4, (1, 2), 1, (), 32, centred=True).encoder(2, timed=False))
    mapping = NCSNpp(4, (1, 2), 1, (), 32, centred=False).encoder(2, timed=False).eval()
    mapping.load_state_dict(centred.state_dict())
    torch.testing.assert_close(mapping(x, None).bottleneck, centred(2 * x - 1, None).bottleneck)


def test_attention_stands_at_its_level_and_in_the_bottleneck() -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(isinstance(part, Attention) for part in module.modules())

    with torch.device("meta"):
        assert count(SGMSE_PLUS.encoder(2, True)) == 3
        assert count(SGMSE_PLUS.decoder(2, True, True)) == 1
        assert count(STORM.encoder(3, True)) == 1
        assert count(STORM.decoder(3, True, True)) == 0


def test_a_new_network_starts_nearly_silent() -> None:
    """The last layers before a sum begin almost at zero, as in DDPM and NCSN++."""
    with torch.inference_mode():
        encoder, decoder = TINY.encoder(2, True), TINY.decoder(2, True, False)
        torch.nn.init.zeros_(decoder.output.bias)
        assert decoder(encoder(spectrograms(), TIMES)).abs().max() < 1e-2


class Operations(TorchDispatchMode):
    """Counts operations by name, and the bytes of the fresh buffers that they return."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.fresh_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls[func.overloadpacket.__name__] += 1
        given = {a.untyped_storage().data_ptr() for a in args if isinstance(a, Tensor)}
        first = result[0] if isinstance(result, tuple) else result
        if isinstance(first, Tensor) and first.untyped_storage().data_ptr() not in given:
            self.fresh_bytes += first.untyped_storage().nbytes()
        return result


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@torch.no_grad()
def test_operations_of_an_evaluation(layout: torch.memory_format) -> None:
    """Guards what makes it fast: one change of memory format, and few fresh buffers."""
    size = NCSNpp(base_channels=8)
    encoder, decoder = size.encoder(2, True).eval(), size.decoder(2, True, True).eval()
    x = torch.randn(1, 4, 256, 128).contiguous(memory_format=layout)
    with Operations() as operations:
        features = encoder(x, TIMES[:1])
        output = decoder(features)
    for kept in (*features.skips, features.bottleneck, output):
        assert kept.is_contiguous(memory_format=torch.channels_last)
    calls = operations.calls
    assert calls["clone"] == (layout == torch.contiguous_format)
    assert calls["cat"] == 21 + 1  # one for each skip connection, one in the time embedding
    blocks, outputs, attentions = 49, 7, 4
    assert calls["native_group_norm"] == 2 * blocks + outputs + attentions
    assert calls["silu_"] == 2 * blocks + outputs
    activation = 8 * 256 * 128 * 4  # the bytes of the finest level's
    assert operations.fresh_bytes < 70 * activation


def test_gradients_reach_every_trained_parameter() -> None:
    encoder, decoder = awake(TINY.encoder(2, True)), awake(TINY.decoder(2, True, True))
    decoder(encoder(spectrograms(), TIMES)).square().sum().backward()
    for module in (encoder, decoder):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_channels": 6}, "^base_channels is 6; expected a multiple of 4$"),
        ({"base_channels": 0}, "^base_channels is 0"),
        ({"multipliers": ()}, r"^multipliers is \(\); expected 1 or more of them$"),
        ({"multipliers": (1, 0)}, "^multipliers is 0; expected 1 or more$"),
        ({"residual_blocks": 0}, "^residual_blocks is 0; expected 1 or more$"),
        ({"bins": 100}, "^bins is 100; expected a multiple of 64 with 7 levels$"),
        ({"frame_multiple": 32}, "^frame_multiple is 32; expected a multiple of 64 with 7 levels$"),
    ],
)
def test_dimensions_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        NCSNpp(**settings)
