"""CUDA graphs: a whole evaluation is recorded once and then started as one piece of work.

A GPU waits for Python between the hundreds of small operations of an evaluation; in a graph it
does not. A graph belongs to one program and one shape, and reads and writes the same memory in
each run.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from threading import Lock

import torch
from torch import Tensor

from speechduet.errors import SettingError
from speechduet.network.system import Backend, Program, System, stack

KEPT = 8
"""Programs and shapes that are remembered."""

Evaluate = Callable[[Tensor, Tensor | None], tuple[Tensor, ...]]
"""One program: ``(spectrograms, t)`` -> outputs."""
Record = Callable[[Evaluate, Tensor, Tensor | None], Evaluate]
"""Makes a graph of a program for inputs of this shape; its outputs stay until its next run."""


class CudaGraphs:
    """Evaluates by graphs, recorded when a program is called with a shape for the second time.

    So a recording of a length of its own, evaluated once, does not pay for a graph. The graph that
    was longest not used goes when there are too many. All calls are to come on one CUDA stream.
    """

    def __init__(self, evaluate: Backend, record: Record, kept: int = KEPT) -> None:
        self._evaluate = evaluate
        self._record = record
        self._kept = kept
        self._graphs: OrderedDict[tuple[Program, torch.Size], Evaluate | None] = OrderedDict()
        """None: seen once."""
        self._lock = Lock()

    @torch.inference_mode()
    def __call__(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Outputs of `System.forward`."""
        key = (program, spectrograms.shape)
        evaluate = partial(self._evaluate, program)
        # Held until the outputs are copied: another thread may want the same graph.
        with self._lock:
            seen = key in self._graphs
            graph = self._graphs.pop(key, None)
            if seen and graph is None:
                graph = self._record(evaluate, spectrograms, t)
            self._graphs[key] = graph
            if len(self._graphs) > self._kept:
                self._graphs.popitem(last=False)
            if graph is None:
                return evaluate(spectrograms, t)
            return tuple(output.clone() for output in graph(spectrograms, t))


def cuda_graphs(evaluate: Backend, system: System, bins: int, device: torch.device) -> CudaGraphs:
    """Graphs on a GPU, tried on a short input; SettingError where that fails."""
    if device.type != "cuda":
        raise SettingError(f"CUDA graphs on {device}", "device cuda", "take backend pytorch")
    made = CudaGraphs(evaluate, Recorder(device))
    program = system.programs()[0]
    y = torch.zeros(1, 1, bins, max(16, system.frame_multiple), dtype=torch.complex64).to(device)
    alone = program == "predictive_network"
    spectrograms = stack(y) if alone else system.inputs(y, y, y)
    t = None if alone else torch.ones(1, device=device, dtype=torch.float32)
    try:
        for _ in range(2):
            made(program, spectrograms, t)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise SettingError(
            f"CUDA graphs do not work here ({reason})", remedy="take backend pytorch"
        ) from None
    return made


class Recorder:
    """Records graphs on a GPU, all in the same memory.

    They can share it because they run one after another, and what one leaves there is copied
    before the next one runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        # The same for all: memory is reused only by work on the stream that it was taken for.
        self._side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, evaluate: Evaluate, spectrograms: Tensor, t: Tensor | None) -> Evaluate:
        """A graph of one program; RuntimeError where it cannot be recorded."""
        held, held_t = spectrograms.clone(), None if t is None else t.clone()
        here = torch.cuda.current_stream(self._device)
        self._side.wait_stream(here)
        with torch.cuda.device(self._device), torch.cuda.stream(self._side):
            # The first call of a kernel may allocate or load, which cannot be recorded.
            evaluate(held, held_t)
        here.wait_stream(self._side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate meanwhile: only this one's calls are watched.
        watched = torch.cuda.graph(graph, self._pool, self._side, "thread_local")
        with torch.cuda.device(self._device), watched:
            outputs = evaluate(held, held_t)

        def run(spectrograms: Tensor, t: Tensor | None) -> tuple[Tensor, ...]:
            held.copy_(spectrograms)
            if held_t is not None and t is not None:
                held_t.copy_(t)
            graph.replay()
            return outputs

        return run
