"""torch.compile: the same numbers, one compilation for all lengths, one thread at a time."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from shutil import which

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from speechduet.backend.compiled import Compiled
from speechduet.network.system import Program, System

CPU = torch.device("cpu")


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[CompileCounter]:
    """Counts graphs, which are traced and guarded as ever, and then run without generated code."""
    counting = CompileCounter()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counting))
    torch._dynamo.reset()
    yield counting
    torch._dynamo.reset()


def evaluate(
    backend: Compiled, system: System, program: Program, frames: int, examples: int = 1
) -> None:
    x, t = torch.randn(examples, 4, 32, frames), torch.linspace(0.2, 0.9, examples)
    with torch.inference_mode():
        for ours, theirs in zip(backend(program, x, t), system(program, x, t), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_one_compilation_serves_all_lengths(system: System, counter: CompileCounter) -> None:
    backend = Compiled(system, CPU)
    before = counter.frame_count
    for frames in (40, 41, 57, 100):  # from 107 on PyTorch takes another convolution
        evaluate(backend, system, "both", frames)
    assert counter.frame_count == before + 1
    evaluate(backend, system, "generative", 40)
    assert counter.frame_count == before + 2
    for examples in (2, 3, 5):
        evaluate(backend, system, "both", 50, examples)
    assert counter.frame_count == before + 3


def test_threads_that_compile_at_the_same_time(system: System, counter: CompileCounter) -> None:
    backend = Compiled(system, CPU)
    programs: list[Program] = ["both", "generative", "predictive", "both"]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(evaluate, backend, system, name, 40) for name in programs]:
            done.result()


REFUSED = """
import torch
from speechduet.backend.compiled import Compiled
from speechduet.errors import SettingError
try:
    Compiled(torch.neg, torch.device("cpu"))
except SettingError as error:
    print(error)
"""


@pytest.mark.slow
def test_without_a_compiler_the_error_says_what_to_do(tmp_path: Path) -> None:
    environment = {
        "PATH": str(tmp_path),
        "HOME": str(tmp_path),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    }
    done = subprocess.run(
        [sys.executable, "-c", REFUSED], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("torch.compile does not work here (InvalidCxxCompiler: ")
    assert done.stdout.endswith("install g++ and Python's headers, or take backend pytorch\n")


@pytest.mark.slow
@pytest.mark.skipif(which("g++") is None, reason="needs a C++ compiler")
def test_generated_code_computes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()

    def scaled(program: Program, spectrograms: Tensor, t: Tensor | None) -> tuple[Tensor, ...]:
        assert t is not None
        return (torch.nn.functional.silu(spectrograms) * t[:, None, None, None],)

    backend = Compiled(scaled, CPU)
    for frames in (20, 33):
        x, t = torch.randn(1, 2, 8, frames), torch.tensor([0.5])
        torch.testing.assert_close(backend("both", x, t), scaled("both", x, t))
