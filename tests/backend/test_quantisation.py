"""Rounding to 8 bits, what a calibration learns, and where it is kept."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from speechduet.backend.quantisation import Rounding, WeightRounding, calibration, quantised
from speechduet.errors import ModelError, SettingError
from speechduet.model.find import load_any
from speechduet.model.folder import Pretrained, load, save
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.spectrogram import Spectrogram

BINS = 32
TIMES = torch.tensor([0.3, 1.0])


def inputs(scale: float = 1.0) -> Tensor:
    return scale * torch.randn(2, 4, BINS, 50)


@pytest.fixture
def wide() -> System:
    """Wide enough for 8-bit products; not calibrated."""
    size = Compact(bins=BINS, channels=(16, 24), width=32, encoder_blocks=2, decoder_blocks=1)
    made = System(Layout(True, "shared", "clean"), OrnsteinUhlenbeck(), size).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.requires_grad_(False)


@pytest.mark.parametrize(("least", "greatest"), [(-0.3, 5.0), (-7.0, 0.0), (0.0, 2.0), (-1.0, 1.0)])
def test_rounding_keeps_zero_and_is_off_by_half_a_step(least: float, greatest: float) -> None:
    rounded = Rounding(least, greatest)
    x = torch.linspace(least, greatest, 10_000)
    step = (greatest - least) / 255
    # Half a step more at the ends, for 0 is moved to one of the values.
    assert (rounded(x) - x).abs().max() <= 1.01 * step
    assert (rounded(x) - x).abs().median() <= 0.26 * step
    assert len(rounded(x).unique()) <= 256
    assert rounded(torch.zeros(1)) == 0
    beyond = rounded(torch.tensor([10 * least - 1, 10 * greatest + 1]))
    torch.testing.assert_close(beyond, torch.tensor([least, greatest]), rtol=0, atol=1.01 * step)


def test_rounding_of_what_is_always_zero() -> None:
    assert Rounding(0.0, 0.0)(torch.zeros(3)).tolist() == [0, 0, 0]


def test_weights_take_127_values_per_output_channel() -> None:
    weight = torch.randn(3, 400) * torch.tensor([[1e-3], [1.0], [50.0]])
    weight[0, 0] = 0
    rounded = WeightRounding(weight)(weight)
    for before, after in zip(weight, rounded, strict=True):
        assert len(after.unique()) <= 127
        assert (after - before).abs().max() <= 0.501 * before.abs().max() / 63
    assert rounded[0, 0] == 0


@torch.inference_mode()
def test_a_calibration_sees_what_wide_layers_read_and_make(wide: System) -> None:
    seen: list[Tensor] = []

    def note(_: object, read: tuple[Tensor], made: Tensor) -> None:
        seen.append(torch.stack([*read[0].aminmax(), *made.aminmax()]))

    wide.get_submodule("encoder.narrow").register_forward_hook(note)
    with calibration(wide) as ranges:
        for scale in (0.1, 1.0):
            wide("both", inputs(scale), TIMES)
        wide("predictive", inputs(3.0), TIMES)
    assert {"encoder.levels.1.convolution", "generative_decoder.widen"} < set(ranges)
    # First and last layers are narrow; the time's are no work; depthwise ones neither.
    parts = ("encoder.levels.0.convolution", "head", "shift", "layers.0", "along_time")
    assert not [name for name in ranges if name.endswith(parts)]
    edges = torch.stack(seen)
    widest = [edges[:, 0].min(), edges[:, 1].max(), edges[:, 2].min(), edges[:, 3].max()]
    assert len(seen) == 3 and not torch.equal(edges[0], edges[1])
    assert ranges["encoder.narrow"] == pytest.approx([float(edge) for edge in widest])
    assert all(edges[0] <= 0 <= edges[1] and edges[2] <= 0 <= edges[3] for edges in ranges.values())


@torch.inference_mode()
def test_a_calibration_ends(wide: System) -> None:
    with calibration(wide) as ranges:
        wide("both", inputs(), TIMES)
    before = dict(ranges)
    wide("both", inputs(9.0), TIMES)
    assert ranges == before and before
    with pytest.raises(RuntimeError), calibration(wide):
        wide("both", torch.randn(1, 3, BINS, 50), TIMES)
    assert wide.activation_ranges == {}
    assert not any(layer._forward_hooks for layer in wide.modules())


@torch.inference_mode()
def test_a_rounded_system_is_a_copy_that_differs_a_little(wide: System) -> None:
    x = inputs()
    before = wide("both", x, TIMES)
    with calibration(wide) as ranges:
        wide("both", x, TIMES)
    rounded = quantised(wide.calibrated(ranges))
    outputs = rounded("both", x, TIMES)
    for ours, theirs, again in zip(outputs, before, wide("both", x, TIMES), strict=True):
        assert torch.equal(theirs, again)
        assert 0 < (ours - theirs).norm() < 0.1 * theirs.norm()
    for name in ranges:
        rows = rounded.get_submodule(name).weight.flatten(1)
        assert max(len(row.unique()) for row in rows) <= 127


def test_a_system_that_was_not_calibrated(wide: System) -> None:
    with pytest.raises(SettingError, match="without activation ranges; expected a calibrated mod"):
        quantised(wide)


@torch.inference_mode()
def test_ranges_are_kept_in_the_model_folder(wide: System, tmp_path: Path) -> None:
    model = Pretrained("wide", wide, Spectrogram(n_fft=2 * BINS - 2, hop=16), {})
    save(model, tmp_path)
    assert load(tmp_path).system.activation_ranges == {}
    with calibration(wide) as ranges:
        wide("both", inputs(), TIMES)
    save(replace(model, system=wide.calibrated(ranges)), tmp_path)
    kept = load(tmp_path).system.activation_ranges
    assert list(kept) == list(ranges)
    for name, edges in ranges.items():
        assert kept[name] == pytest.approx(edges, rel=1e-3)
    save(model, tmp_path)  # as of other weights
    assert load(tmp_path).system.activation_ranges == {}


@pytest.mark.parametrize(
    "text",
    [
        '{"encoder.narrow": [0, 1',
        '{"encoder.narrow": [0, 1, 2]}',
        '{"encoder.narrow": [1, 2, -1, 1]}',
        '{"encoder.narrow": [0, "much", 0, 1]}',
        '{"encoder.narrow": [0, 1e999, 0, 1]}',
        '{"encoder.narrow": 3}',
        '{"encoder.wide": [0, 1, 0, 1]}',
        "[]",
    ],
)
def test_damaged_ranges(wide: System, tmp_path: Path, text: str) -> None:
    save(Pretrained("wide", wide, Spectrogram(n_fft=2 * BINS - 2, hop=16), {}), tmp_path)
    (tmp_path / "activation_ranges.json").write_text(text)
    with pytest.raises(ModelError, match="activation_ranges.json is damaged"):
        load(tmp_path)


def test_the_bundled_model_is_calibrated() -> None:
    """Where its operations are: every level but the first, on the way to both decoders."""
    system = load_any().system
    calibrated = set(system.activation_ranges)
    for name in ("encoder.levels.3.convolution", "generative_decoder.levels.2.convolution"):
        assert name in calibrated
    weights = dict(system.named_parameters())
    inside = sum(weights[f"{name}.weight"].numel() for name in calibrated)
    assert inside > 0.9 * sum(weight.numel() for weight in weights.values())
