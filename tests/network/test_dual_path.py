from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from speechduet.backend.export import onnx_model
from speechduet.errors import SettingError
from speechduet.model.config import Config
from speechduet.network.cost import operations, parameters
from speechduet.network.dual_path import Attention, DualPath, fold, unfold
from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck

TINY = DualPath(
    bins=32, folds=(4, 2), channels=(4, 8), hidden=4, encoder_blocks=2, decoder_blocks=1
)


def spectrogram(batch: int = 2, frames: int = 7, bins: int = 32) -> Tensor:
    return 0.1 * torch.randn(batch, 1, bins, frames, dtype=torch.complex64)


def system(size: DualPath = TINY) -> System:
    """A system whose heads, which begin at zero, have weights."""
    torch.manual_seed(0)
    network = System(Layout(True, "shared", "clean"), OrnsteinUhlenbeck(), size)
    for decoder in (network.generative_decoder, network.predictive_decoder):
        assert decoder is not None
        torch.nn.init.normal_(decoder.head.weight, std=0.2)
    return network


def test_unfolding_undoes_folding() -> None:
    x = torch.randn(2, 3, 8, 5)
    assert torch.equal(unfold(fold(x, 4), 4), x)
    assert fold(x, 4).shape == (2, 3, 2, 20)


@pytest.mark.parametrize("frames", [1, 2, 7, 64])
def test_any_number_of_frames_keeps_its_shape(frames: int) -> None:
    y = spectrogram(frames=frames)
    estimates = system().estimate(y, y, y, torch.full((2,), 0.5), generative=True, predictive=True)
    assert estimates.generative is not None and estimates.predictive is not None
    assert estimates.generative.shape == estimates.predictive.shape == y.shape
    assert estimates.generative.isfinite().all()


def test_both_decoders_reach_the_encoder_and_all_weights_learn() -> None:
    network, y = system(), spectrogram()
    outputs = network("both", network.inputs(y, y, y), torch.full((2,), 0.5))
    for output in outputs:
        network.zero_grad()
        output.square().sum().backward(retain_graph=True)
        assert network.encoder is not None
        for name, parameter in network.encoder.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_head_scales_with_gains_of_the_inputs() -> None:
    """With a bias of 1 on the real gain of y alone, the output is y."""
    network = system()
    decoder = network.predictive_decoder
    assert decoder is not None
    with torch.no_grad():
        decoder.head.weight.zero_()
        decoder.head.bias.copy_(torch.tensor([0.0, 0, 1, 0, 0, 0]).repeat(4))
    x_t, y = spectrogram(), spectrogram()
    estimates = network.estimate(x_t, y, y, torch.ones(2), generative=False, predictive=True)
    assert estimates.predictive is not None
    torch.testing.assert_close(estimates.predictive, y)


def test_time_changes_both_estimates() -> None:
    network, y = system(), spectrogram()
    early = network.estimate(y, y, y, torch.full((2,), 0.9), generative=True, predictive=True)
    late = network.estimate(y, y, y, torch.full((2,), 0.1), generative=True, predictive=True)
    for one, other in zip(early, late, strict=True):
        assert one is not None and other is not None
        assert not torch.allclose(one, other)


def test_the_influence_of_a_frame_fades() -> None:
    """It never ends, for memories have no end, but segments of long files can be faded."""
    network, y = system(), spectrogram(batch=1, frames=400)
    changed = y.clone()
    changed[..., -1] += 1
    at = torch.full((1,), 0.5)
    before = network.estimate(y, y, y, at).generative
    after = network.estimate(changed, changed, changed, at).generative
    assert before is not None and after is not None
    difference = (before - after).abs().amax(dim=(0, 1, 2))
    assert difference[-3:].max() > 1e-3
    assert difference[:100].max() < 1e-2 * difference[-3:].max()


def test_attention_is_the_usual_one() -> None:
    layer, x = Attention(8, heads=2), torch.randn(2, 3, 5, 8)
    query, key, value = layer.project(x).unflatten(-1, (3, 2, 4)).permute(3, 0, 1, 4, 2, 5)
    usual = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=1.0)
    torch.testing.assert_close(layer(x), layer.out(usual.transpose(-2, -3).flatten(-2)))


def test_onnx_runtime_computes_the_same_for_any_number_of_frames() -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    network = system().eval()
    session = runtime.InferenceSession(onnx_model(network, "both", 32))
    for batch, frames in ((1, 16), (3, 41)):
        y = spectrogram(batch, frames)
        inputs, t = network.inputs(y, y, y), torch.linspace(0.2, 1, batch)
        with torch.no_grad():
            expected = network("both", inputs, t)
        outputs = session.run(None, {"spectrograms": inputs.numpy(), "t": t.numpy()})
        for output, want in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(output, want.numpy(), atol=1e-5)


def test_config_names_it() -> None:
    values = {
        "format": 1,
        "name": "small",
        "system": {"layout": {"generative": True, "predictive": "shared"}},
        "network": {"kind": "dual_path", "channels": [8, 16], "heads": 4},
        "process": {"kind": "ornstein_uhlenbeck"},
        "spectrogram": {},
        "modes": {"fast": {"steps": 0}},
    }
    config = Config.from_json(values)
    assert config.network == DualPath(channels=(8, 16), heads=4)
    assert Config.from_json(config.to_json()).network == config.network


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ({"bins": 30}, "bins is 30; expected a multiple of 8"),
        ({"channels": (4, 0)}, "channels"),
        ({"channels": (4, 7)}, r"channels is \(4, 7\); expected a multiple of 2"),
        ({"folds": (8,)}, r"folds is \[8\]; expected a number for each of 2 levels"),
        ({"hidden": 5}, "hidden is 5; expected a multiple of 2"),
        ({"heads": 0}, "heads is 0"),
        ({"decoder_blocks": -1}, "decoder_blocks is -1"),
        ({"time_exponents": (1.0,)}, "time_exponents"),
    ],
)
def test_dimensions_that_cannot_be_built(dimensions: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        DualPath(**{"bins": 32, "channels": (4, 8), **dimensions})


def test_its_cost_is_counted_as_that_of_any_network() -> None:
    network = system()
    counts = parameters(network)
    assert sum(counts) == sum(p.numel() for p in network.parameters())
    assert counts.encoder > 0 and counts.generative_decoder == counts.predictive_decoder > 0
    each = operations(network, 32)
    assert each.encoder > each.generative_decoder == each.predictive_decoder > 0
