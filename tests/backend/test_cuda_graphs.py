"""CUDA graphs: what is recorded when and thrown out when (with a stand-in), and a real GPU."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from speechduet.backend.cuda_graphs import CudaGraphs, Evaluate, cuda_graphs
from speechduet.backend.eager import Bfloat16
from speechduet.errors import SettingError
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import Program, System
from speechduet.process import OrnsteinUhlenbeck

T = torch.tensor([0.5])


class StandIn:
    """Records as a GPU does: a run writes into the very outputs of the recording."""

    def __init__(self) -> None:
        self.recorded: list[torch.Size] = []
        self.runs = 0

    def __call__(self, evaluate: Evaluate, spectrograms: Tensor, t: Tensor | None) -> Evaluate:
        self.recorded.append(spectrograms.shape)
        outputs = evaluate(spectrograms, t)

        def run(spectrograms: Tensor, t: Tensor | None) -> tuple[Tensor, ...]:
            self.runs += 1
            for held, output in zip(outputs, evaluate(spectrograms, t), strict=True):
                held.copy_(output)
            return outputs

        return run


@pytest.fixture
def recorder() -> StandIn:
    return StandIn()


def frames(count: int) -> Tensor:
    return torch.randn(1, 4, 32, count)


def test_every_call_gives_what_the_system_gives(system: System, recorder: StandIn) -> None:
    backend = CudaGraphs(system, recorder)
    outputs = []
    for _ in range(4):
        x = frames(9)
        outputs.append((backend("both", x, T), system("both", x, T)))
    for ours, theirs in outputs:  # after all calls: the outputs of an earlier one have stayed
        torch.testing.assert_close(ours, theirs)


def test_a_graph_is_recorded_at_the_second_call_of_a_shape(
    system: System, recorder: StandIn
) -> None:
    backend = CudaGraphs(system, recorder)
    backend("both", frames(9), T)
    backend("both", frames(10), T)
    backend("generative", frames(9), T)
    assert recorder.recorded == []
    backend("both", frames(9), T)
    assert [shape[-1] for shape in recorder.recorded] == [9] and recorder.runs == 1
    backend("both", frames(9), T)
    assert len(recorder.recorded) == 1 and recorder.runs == 2
    backend("generative", frames(9), T)
    assert len(recorder.recorded) == 2


def test_the_graph_that_was_longest_not_used_goes(system: System, recorder: StandIn) -> None:
    backend = CudaGraphs(system, recorder, kept=2)
    for count in (9, 9, 10, 10, 9, 11):  # 11 takes the place of 10
        backend("both", frames(count), T)
    assert [shape[-1] for shape in recorder.recorded] == [9, 10]
    backend("both", frames(9), T)
    assert len(recorder.recorded) == 2
    for _ in range(2):
        backend("both", frames(10), T)
    assert [shape[-1] for shape in recorder.recorded] == [9, 10, 10]


def test_threads_do_not_get_each_others_outputs(system: System, recorder: StandIn) -> None:
    backend = CudaGraphs(system, recorder)

    def check(number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(1, 4, 32, 9 + number % 2, generator=generator)
        for _ in range(5):
            torch.testing.assert_close(backend("both", x, T), system("both", x, T))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(check, number) for number in range(12)]:
            done.result()
    assert len(recorder.recorded) == 2


def test_a_network_of_y_alone_has_no_time(recorder: StandIn) -> None:
    size = NCSNpp(4, (1,), residual_blocks=1, attention_bins=(), bins=32, frame_multiple=1)
    system = System(Layout(False, "own"), None, size).eval()
    backend = CudaGraphs(system, recorder)
    x = torch.randn(1, 2, 32, 8)
    for _ in range(3):
        ours, theirs = backend("predictive_network", x, None), system("predictive_network", x, None)
        torch.testing.assert_close(ours, theirs)


def test_there_are_none_on_a_cpu(system: System) -> None:
    with pytest.raises(SettingError, match="CUDA graphs on cpu; expected device cuda; take backen"):
        cuda_graphs(system, system, 32, torch.device("cpu"))


class Unrecordable(TorchDispatchMode):
    """Lists operations that wait for the GPU or copy from the CPU, which no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("lift_fresh", "lift_fresh_copy", "_local_scalar_dense", "nonzero", "equal"):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=["compact", "ncsnpp", "storm"])
def any_system(request: pytest.FixtureRequest, system: System) -> Iterator[System]:
    size = NCSNpp(4, (1, 1), residual_blocks=1, attention_bins=(16,), bins=32, frame_multiple=2)
    if request.param == "compact":
        yield system
    else:
        kind: Any = "own" if request.param == "storm" else "shared"
        yield System(Layout(True, kind), OrnsteinUhlenbeck(), size).eval()


def test_all_operations_can_be_recorded(any_system: System) -> None:
    for program in any_system.programs():
        alone = program == "predictive_network"
        channels = 2 if alone else 6 if any_system.anchored else 4
        x = torch.randn(1, channels, 32, 8)
        with torch.inference_mode(), Unrecordable() as watched:
            Bfloat16(any_system)(program, x, None if alone else T)
        assert watched.seen == []


def test_what_cannot_be_recorded_is_seen() -> None:
    with Unrecordable() as watched:
        torch.tensor([1.0])
        torch.ones(2).sum().item()
    assert watched.seen == ["lift_fresh", "_local_scalar_dense"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_on_a_gpu(any_system: System, precision: str) -> None:
    device = torch.device("cuda")
    system = any_system.to(device)
    evaluate = Bfloat16(system) if precision == "bfloat16" else system
    backend = cuda_graphs(evaluate, system, 32, device)
    t = T.to(device)

    def check(number: int) -> None:
        program: Program = system.programs()[number % len(system.programs())]
        alone = program == "predictive_network"
        channels = 2 if alone else 6 if system.anchored else 4
        for _ in range(4):
            x = torch.randn(1, channels, 32, 16 + 2 * (number % 3), device=device)
            with torch.inference_mode():
                ours = backend(program, x, None if alone else t)
                theirs = evaluate(program, x, None if alone else t)
            for one, other in zip(ours, theirs, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)

    for number in range(6):
        check(number)
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(check, number) for number in range(12)]:
            done.result()
