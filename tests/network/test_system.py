"""Systems of shared parts: what each decoder gives and what each loss trains."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from speechduet.errors import SettingError
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import PredictiveNetwork, Program, System, stack, unstack
from speechduet.process import FlowMatching, OrnsteinUhlenbeck, Process, SchroedingerBridge

TINY = NCSNpp(base_channels=4, multipliers=(1, 2), residual_blocks=1, attention_bins=(), bins=32)
OUVE = OrnsteinUhlenbeck()
TIMES = torch.tensor([0.3, 0.9])


def spectrogram() -> Tensor:
    return torch.randn(2, 1, 32, 64, dtype=torch.complex64)


def system(layout: Layout) -> System:
    """With weights at which nothing is nearly silent."""
    built = System(layout, OUVE if layout.generative else None, TINY)
    for parameter in built.parameters():
        nn.init.normal_(parameter, std=0.2)
    return built


def has_gradient(module: nn.Module | None) -> bool:
    assert module is not None
    return any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_stacking_keeps_real_and_imaginary_parts_together() -> None:
    a, b = spectrogram(), spectrogram()
    stacked = stack(a, b)
    assert stacked.shape == (2, 4, 32, 64)
    for index, part in enumerate((a.real, a.imag, b.real, b.imag)):
        torch.testing.assert_close(stacked[:, index : index + 1], part)
    torch.testing.assert_close(unstack(stacked[:, 2:]), b)


@pytest.mark.parametrize("loss", ["generative", "predictive"])
def test_each_loss_reaches_the_encoder_and_not_the_other_decoder(loss: str) -> None:
    joint = system(Layout(generative=True, predictive="shared"))
    x_t, y = spectrogram(), spectrogram()
    estimates = joint.estimate(x_t, y, y, TIMES, generative=True, predictive=True)
    estimate = getattr(estimates, loss)
    estimate.abs().square().sum().backward()
    assert has_gradient(joint.encoder)
    assert has_gradient(joint.generative_decoder) is (loss == "generative")
    assert has_gradient(joint.predictive_decoder) is (loss == "predictive")


def test_storm_s_score_loss_reaches_its_predictive_network() -> None:
    storm = system(Layout(generative=True, predictive="own"))
    x_t, y = spectrogram(), spectrogram()
    anchor = storm.anchor(y)
    estimates = storm.estimate(x_t, y, anchor, TIMES, generative=True)
    assert estimates.generative is not None
    estimates.generative.abs().square().sum().backward()
    assert has_gradient(storm.encoder) and has_gradient(storm.predictive_network)


def test_a_score_becomes_a_clean_estimate() -> None:
    """``D = (x_t - b y + s^2 score) / a`` of what the decoder emits."""
    sgmse = system(Layout(generative=True, predictive="none")).eval()
    x_t, y = spectrogram(), spectrogram()
    assert sgmse.encoder is not None and sgmse.generative_decoder is not None
    with torch.inference_mode():
        score = unstack(sgmse.generative_decoder(sgmse.encoder(stack(x_t, y), TIMES)))
        estimates = sgmse.estimate(x_t, y, y, TIMES, generative=True, predictive=False)
    expected = OUVE.clean_from_score(score, x_t, y, TIMES)
    torch.testing.assert_close(estimates.generative, expected)
    assert estimates.predictive is None


def test_a_clean_parametrisation_is_taken_as_it_is() -> None:
    direct = system(Layout(generative=True, predictive="none", parametrisation="clean")).eval()
    x_t, y = spectrogram(), spectrogram()
    assert direct.encoder is not None and direct.generative_decoder is not None
    with torch.inference_mode():
        output = unstack(direct.generative_decoder(direct.encoder(stack(x_t, y), TIMES)))
        estimates = direct.estimate(x_t, y, y, TIMES)
    torch.testing.assert_close(estimates.generative, output)


def test_a_prior_weighs_the_state_against_the_decoder() -> None:
    """Exact where the noise vanishes, the decoder's output where it drowns everything."""
    plain = system(Layout(True, "none", "clean")).eval()
    weighing = System(Layout(True, "none", "clean", prior_std=0.1), OUVE, TINY).eval()
    weighing.load_state_dict(plain.state_dict())
    x_0, y = spectrogram(), spectrogram()
    distances = []
    with torch.inference_mode():
        for t in (1e-7, 0.5, 1.0):
            time = torch.full((2,), t)
            x_t = OUVE.mean(x_0, y, time)
            output = plain.estimate(x_t, y, y, time).generative
            estimate = weighing.estimate(x_t, y, y, time).generative
            assert output is not None and estimate is not None
            distances.append(((estimate - x_0).norm() / (output - x_0).norm()).item())
    assert distances[0] < 1e-3 and distances[-1] > 0.99
    assert all(before < after for before, after in pairwise(distances))


def counted(built: System) -> dict[str, int]:
    """Evaluations of each part from now on."""
    calls: dict[str, int] = {}
    for name, part in built.named_children():
        calls[name] = 0

        def count(*_: object, part_name: str = name) -> None:
            calls[part_name] += 1

        part.register_forward_hook(count)
    return calls


@torch.inference_mode()
def test_only_the_decoders_asked_for_are_evaluated() -> None:
    joint = system(Layout(generative=True, predictive="shared"))
    calls = counted(joint)
    x_t, y = spectrogram(), spectrogram()
    joint.estimate(x_t, y, y, TIMES, generative=True, predictive=False)
    assert calls == {"encoder": 1, "generative_decoder": 1, "predictive_decoder": 0}
    joint.estimate(x_t, y, y, TIMES, generative=False, predictive=True)
    assert calls == {"encoder": 2, "generative_decoder": 1, "predictive_decoder": 1}
    joint.estimate(x_t, y, y, TIMES, generative=True, predictive=True)
    assert calls == {"encoder": 3, "generative_decoder": 2, "predictive_decoder": 2}


@torch.inference_mode()
def test_storm_predicts_once() -> None:
    storm = system(Layout(generative=True, predictive="own"))
    calls = counted(storm)
    y = spectrogram()
    anchor = storm.anchor(y)
    estimates = storm.estimate(y, y, anchor, TIMES, generative=False, predictive=True)
    assert estimates.predictive is anchor and estimates.generative is None
    assert calls == {"predictive_network": 1, "encoder": 0, "generative_decoder": 0}
    assert isinstance(storm.predictive_network, PredictiveNetwork)


@pytest.mark.parametrize(
    ("layout", "anchored", "predicts", "generates"),
    [
        (Layout(False, "own"), False, True, False),
        (Layout(True, "none"), False, False, True),
        (Layout(True, "own"), True, True, True),
        (Layout(True, "shared"), False, True, True),
    ],
    ids=["predictive", "sgmse_plus", "storm", "gp"],
)
@torch.inference_mode()
def test_what_a_layout_has(layout: Layout, anchored: bool, predicts: bool, generates: bool) -> None:
    built = system(layout)
    assert (built.anchored, built.predicts) == (anchored, predicts)
    assert built.frame_multiple == 64
    y = spectrogram()
    anchor = built.anchor(y)
    assert (anchor is y) is not anchored
    estimates = built.estimate(y, y, anchor, TIMES, generative=True, predictive=True)
    assert (estimates.generative is not None) is generates
    assert (estimates.predictive is not None) is predicts


def test_a_copy_on_another_device_leaves_the_system_where_it_is() -> None:
    joint = system(Layout(generative=True, predictive="shared"))
    states = joint.state_dict(keep_vars=True)
    here, there = joint.placed(torch.device("cpu")), joint.placed(torch.device("meta"))
    assert joint.training and not here.training and not there.training
    for name, value in here.state_dict(keep_vars=True).items():
        assert value is states[name]  # no second copy of the weights
    for name, value in there.state_dict(keep_vars=True).items():
        assert value.device.type == "meta" and value.shape == states[name].shape
        assert isinstance(value, nn.Parameter) == isinstance(states[name], nn.Parameter)
    assert all(value.device.type == "cpu" for value in joint.state_dict().values())
    buffers = {value.device.type for _, value in there.named_buffers()}
    assert buffers == {"meta"}


def test_backends_and_ranges_come_in_by_copies_with_the_same_networks() -> None:
    joint = system(Layout(generative=True, predictive="shared")).eval()

    def silent(program: Program, spectrograms: Tensor, t: Tensor | None) -> tuple[Tensor, ...]:
        return (torch.zeros_like(spectrograms[:, :2]),)

    other = joint.evaluated_by(silent).calibrated({"encoder.input": (-1.0, 1.0, -2.0, 2.0)})
    assert other.backend is silent and joint.backend is None and not joint.activation_ranges
    assert list(other.activation_ranges) == ["encoder.input"]
    assert other.encoder is joint.encoder
    y = spectrogram()
    estimate = other.estimate(y, y, y, TIMES, generative=False, predictive=True)
    assert estimate.predictive is not None and not estimate.predictive.any()
    assert other.placed(torch.device("cpu")).backend is None
    assert other.evaluated_by(None).backend is None


@pytest.mark.parametrize("process", [SchroedingerBridge(), FlowMatching()])
def test_a_score_needs_a_process_that_remembers(process: Process) -> None:
    with pytest.raises(SettingError, match="parametrisation 'clean'"):
        System(Layout(True, "none", "score"), process, TINY)


def test_a_generative_system_needs_a_process() -> None:
    with pytest.raises(SettingError, match="without a process"):
        System(Layout(True, "none", "clean"), None, TINY)


def test_a_prior_alone_is_left_where_a_bridge_begins() -> None:
    layout = Layout(True, "none", "clean", prior_std=0.1)
    network = Compact(bins=64, channels=(4, 4), width=8)
    system = System(layout, SchroedingerBridge(), network)
    output, x = torch.randn(1, 2, 64, 8), torch.randn(1, 1, 64, 8, dtype=torch.complex64)
    clean = system.clean(output, x, x, torch.ones(1))
    torch.testing.assert_close(clean, unstack(output))
