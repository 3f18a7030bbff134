"""Which convolutions are computed in the fast way, and who profits: counted, not timed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from speechduet.backend.choice import choose
from speechduet.backend.fast_convolutions import (
    FEWEST_CHANNELS,
    FEWEST_PER_THREAD,
    MOST_THREADS,
    FastConvolution,
    FastConvolutions,
    fast_convolutions,
)
from speechduet.bench.request import Request
from speechduet.bench.workloads import workload
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.piece import enhance_whole
from speechduet.model.folder import Pretrained, save
from speechduet.network import ncsnpp
from speechduet.network.backbone import Backbone
from speechduet.network.compact import Compact
from speechduet.network.cost import counted
from speechduet.network.dual_path import DualPath
from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from speechduet.study import trajectory
from speechduet.training.building import build
from speechduet.training.recipe_file import read_recipe

pytestmark = pytest.mark.skipif(
    not torch.backends.mkl.is_available(), reason="the fast path is for x86 processors"
)


class Called(TorchDispatchMode):
    """Names of the operations that happen while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def fast(inputs: int = FEWEST_CHANNELS, outputs: int = FEWEST_CHANNELS) -> FastConvolution:
    return FastConvolution(nn.Conv2d(inputs, outputs, 3, padding=1))


def is_fast(x: Tensor, outputs: int = FEWEST_CHANNELS) -> bool:
    layer = fast(x.shape[1], outputs).to(x.device, x.dtype)
    with Called() as called:
        layer(x)
    assert ("winograd_convolution" in called.names) != ("convolution" in called.names)
    return "winograd_convolution" in called.names


def image(channels: int = FEWEST_CHANNELS, height: int = 32, width: int = 32) -> Tensor:
    return torch.randn(1, channels, height, width)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_large_float32_convolutions_are_fast() -> None:
    assert is_fast(image())
    with torch.inference_mode():
        assert is_fast(image())


def test_few_tiles_or_a_width_without_tiles_are_not() -> None:
    assert not is_fast(image(height=31))
    assert not is_fast(image(width=34))


def test_several_threads_need_enough_each() -> None:
    height = -(-FEWEST_PER_THREAD // (9 * FEWEST_CHANNELS**2 * 64))
    assert is_fast(image(height=height, width=64))
    torch.set_num_threads(2)
    assert not is_fast(image(height=height, width=64))
    assert is_fast(image(height=2 * height, width=64))
    torch.set_num_threads(MOST_THREADS + 1)
    assert not is_fast(image(height=2 * MOST_THREADS * height, width=64))


def test_other_devices_and_precisions_are_not() -> None:
    assert not is_fast(image().to("meta"))
    assert not is_fast(image().double())
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_fast(image())


def test_both_ways_give_the_same() -> None:
    layer, x = fast(), image()
    torch.testing.assert_close(layer(x), layer.layer(x), rtol=1e-4, atol=1e-4)


def test_a_convolution_counts_as_what_it_is_by_definition() -> None:
    layer, x = fast(), image()
    with torch.inference_mode():
        _, counted_fast = counted(lambda: layer(x))
        _, plain = counted(lambda: layer.layer(x))
    assert counted_fast == plain == 9 * FEWEST_CHANNELS**2 * 32**2


WIDE = Compact(bins=64, channels=(24, 96, 96, 96), width=16, encoder_blocks=1, decoder_blocks=1)
"""Two of the encoder's convolutions read and make 80 channels or more, and two of a decoder's."""
TRANSFORM = Spectrogram(n_fft=126, hop=64)
CPU = torch.device("cpu")


def system(backbone: Backbone = WIDE) -> System:
    return System(Layout(True, "shared", "clean"), OrnsteinUhlenbeck(), backbone)


def inputs(frames: int = 1024) -> tuple[Tensor, Tensor]:
    return torch.randn(1, 4, 64, frames), torch.tensor([0.5])


def test_the_layers_that_gain_are_replaced_and_no_others() -> None:
    backend = fast_convolutions(system())
    assert backend is not None
    with torch.inference_mode(), Called() as called:
        made = backend("both", *inputs())
    assert called.names.count("winograd_convolution") == 6  # 2 in the encoder, 2 in each decoder
    assert len(made) == 2


@pytest.mark.parametrize(
    "backbone",
    [
        Compact(bins=64),
        DualPath(bins=64),
        ncsnpp.NCSNpp(base_channels=16, bins=64),
    ],
)
def test_a_system_without_such_layers_is_evaluated_as_it_is(backbone: Backbone) -> None:
    """Nothing at all is in the way of a small network: see the names of its operations."""
    small = system(backbone)
    assert fast_convolutions(small) is None
    assert choose(small, CPU).backend is None


def test_tensors_are_shared_whatever_becomes_of_them() -> None:
    whole = system().eval()
    backend, (x, t) = fast_convolutions(whole), inputs()
    assert backend is not None
    nn.init.normal_(whole.get_parameter("generative_decoder.head.weight"), std=0.1)
    whole.load_state_dict({name: 0.9 * value for name, value in whole.state_dict().items()})
    with torch.inference_mode():
        for one, other in zip(backend("both", x, t), whole("both", x, t), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
        # With other tensors in the place of the first, and float64 is no number of the fast way.
        whole.double()
        for one, other in zip(
            backend("both", x.double(), t.double()),
            whole("both", x.double(), t.double()),
            strict=True,
        ):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_training_and_evaluation_are_the_systems() -> None:
    whole = system()
    backend = fast_convolutions(whole)
    assert backend is not None
    seen: list[bool] = []
    assert whole.encoder is not None
    level = whole.encoder.get_submodule("levels.0")
    level.register_forward_hook(lambda layer, *_: seen.append(layer.training))
    for mode in (False, True):
        whole.train(mode)
        backend("generative", *inputs(4))
    assert seen == [False, True]


def test_the_default_on_a_processor_and_what_pytorch_means() -> None:
    whole = system()
    chosen = choose(whole, CPU)
    assert isinstance(chosen.backend, FastConvolutions)
    assert chosen.description == "backend winograd, float32, on cpu (the default)"
    assert choose(whole, CPU, "pytorch").backend is None
    assert choose(whole, CPU, "pytorch", "float32").backend is None


@pytest.fixture
def wide_model(tmp_path: Path) -> Path:
    modes = {"fast": Sampling(steps=0), "balanced": Sampling(steps=1, predictor="ancestral")}
    save(Pretrained("wide", system(), TRANSFORM, modes), tmp_path / "wide")
    return tmp_path / "wide"


def fast_calls(run: object) -> int:
    assert callable(run)
    with Called() as called:
        run()
    return called.names.count("winograd_convolution")


def test_enhancement_bench_and_study_profit(wide_model: Path) -> None:
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 64_000).astype(np.float32)
    enhancer = Enhancer.from_pretrained(wide_model, "cpu")
    plain = Enhancer.from_pretrained(wide_model, "cpu", backend="pytorch")
    in_study = trajectory._enhancer(str(wide_model), "cpu")
    assert fast_calls(lambda: enhancer(waveform, 16_000, "fast")) == 4
    assert fast_calls(lambda: in_study(waveform, 16_000, "fast")) == 4
    assert fast_calls(lambda: plain(waveform, 16_000, "fast")) == 0
    for backend, expected in (("auto", 4), ("winograd", 4), ("pytorch", 0)):
        request = Request(str(wide_model), mode="fast", seconds=4.0, backend=backend)  # type: ignore[arg-type]
        assert fast_calls(workload(request, request.candidates[0]).run) == expected


def test_training_steps_and_validation_profit(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "wide.yaml"
    path.write_text(
        f"""
name: wide
system: {{layout: {{generative: true, predictive: shared, parametrisation: clean}}}}
network: {{kind: compact, bins: 64, channels: [24, 96, 96, 96], width: 16}}
process: {{kind: ornstein_uhlenbeck}}
spectrogram: {{n_fft: 126, hop: 64}}
modes: {{fast: {{steps: 0}}}}
data: {{pairs: {root}/samples}}
"""
    )
    module = build(read_recipe(path))
    x_0, y = (torch.randn(1, 1, 64, 1024, dtype=torch.complex64) for _ in range(2))
    with Called() as called:
        loss = module.weighted(module.part_losses(x_0, y, 64 * 1023, (0,)))
    assert called.names.count("winograd_convolution") == 6
    # The gradients of the inputs, which the convolutions below need.
    assert fast_calls(loss.backward) == 6
    noisy = np.random.default_rng(0).uniform(-0.5, 0.5, 65_000).astype(np.float32)
    mode = Sampling(steps=0)
    assert fast_calls(lambda: enhance_whole(module.system, TRANSFORM, noisy, mode)) == 4
    request = Request(recipe=path, train=True, seconds=4.0, batch_size=1)
    assert fast_calls(workload(request, request.candidates[0]).run) == 12


@pytest.mark.slow
def test_the_published_network_spends_its_multiplications_there() -> None:
    """A guard: nine tenths of what SGMSE+ multiplies are convolutions on the fast path."""
    published = System(Layout(True, "none"), OrnsteinUhlenbeck(), ncsnpp.SGMSE_PLUS)
    backend = fast_convolutions(published)
    assert backend is not None
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        backend("generative", torch.zeros(1, 4, 256, 64), torch.ones(1))
    spent = counter.get_flop_counts()["Global"]
    assert spent[torch.ops.speechduet.winograd_convolution] > 0.9 * counter.get_total_flops()
