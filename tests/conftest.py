"""What all tests share: the neighbouring corpus, small signals, and repeatable numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from speechduet.audio import probe, read_blocks, target_format, write_blocks
from speechduet.audio.tags import read_tags
from speechduet.enhancement.enhancer import Enhancer
from speechduet.model.folder import Pretrained
from speechduet.network.layout import Layout
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from stand_ins import Ruled, ruled

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no process still has one when the others have ended."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the repository with corpus and reference vectors; skips without it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` beside the repository")
    return folder


@pytest.fixture(scope="session")
def corpus(shared: Path) -> Path:
    """The corpus of real recordings; skips without it."""
    folder = shared / "corpus"
    if not folder.is_dir():
        pytest.skip("needs the corpus in the folder `shared` beside the repository")
    return folder


@pytest.fixture(autouse=True)
def repeatable() -> None:
    """The same random numbers in every test, alone or in company, and few threads."""
    torch.manual_seed(0)
    np.random.seed(0)
    torch.set_num_threads(1)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers of the test's own."""
    return np.random.default_rng(0)


@pytest.fixture
def speech(root: Path) -> np.ndarray:
    """Two seconds of a bundled clean sample, ``[samples]`` at 16 kHz."""
    import soundfile

    return soundfile.read(root / "samples/clean/rain.flac", frames=32_000, dtype="float32")[0]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: a very small joint system with random weights and all three modes."""
    from speechduet.model.folder import save
    from speechduet.network.compact import Compact
    from speechduet.network.system import System
    from speechduet.sampler import Sampling

    torch.manual_seed(0)
    backbone = Compact(channels=(4, 4, 6, 6), width=16, encoder_blocks=1, decoder_blocks=1)
    system = System(Layout(True, "shared", "clean"), OrnsteinUhlenbeck(), backbone)
    for parameter in system.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    modes = {
        mode: Sampling(steps=steps, corrector_steps=0, predictor="ancestral", beta=0.5)
        for mode, steps in (("fast", 0), ("balanced", 2), ("best", 3))
    }
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save(Pretrained("tiny", system, Spectrogram(), modes), folder)
    return folder


@pytest.fixture
def unchanging() -> Enhancer:
    """An enhancer that takes the noisy speech for clean, in segments of 1 s."""
    balanced = Sampling(steps=1, predictor="deterministic", corrector_steps=0, beta=0.5)
    modes = {"fast": Sampling(steps=0), "balanced": balanced}
    return ruled(Ruled(), modes, segment_s=1)


@pytest.fixture
def copied() -> Callable[..., list[str]]:
    """Write a recording anew under another name, as it is; returns what is said."""

    def copied(source: Path, target: Path, **settings: Any) -> list[str]:
        """What is said when a recording is written anew under another name."""
        said: list[str] = []
        audio_format = probe(source)
        write_blocks(
            *(target, target_format(audio_format, target), read_blocks(source)),
            source=audio_format,
            tags=read_tags(source),
            notify=said.append,
            **settings,
        )
        return said

    return copied


@pytest.fixture
def encode_tagged(rng: np.random.Generator) -> Callable[..., None]:
    """Write a recording of 1 s at 48 kHz with FFmpeg, with texts."""

    def encode(path: Path, codec: str, texts: dict[str, str], layout: str = "mono") -> None:
        """A recording of 1 s at 48 kHz, written by FFmpeg with texts."""
        with av.open(str(path), "w") as container:
            container.metadata.update(texts)
            stream = container.add_stream(codec, rate=48_000, layout=layout)
            channels = av.AudioLayout(layout).nb_channels
            samples = rng.uniform(-0.3, 0.3, (1, 48_000 * channels)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, "flt", layout)
            frame.sample_rate, frame.pts = 48_000, 0
            for part in av.AudioResampler(stream.format.name, layout, 48_000).resample(frame):
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))

    return encode
