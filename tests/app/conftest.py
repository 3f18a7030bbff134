"""What the tests of the application share."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechduet.enhancement.enhancer import Enhancer

RATE = 16_000


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three seconds of stereo noise."""
    path = tmp_path / "noisy.wav"
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, (3 * RATE, 2))
    soundfile.write(path, samples, RATE)
    return path


@pytest.fixture(scope="module")
def enhancer(tiny_model: Path) -> Enhancer:
    return Enhancer.from_pretrained(tiny_model, threads=1)


@pytest.fixture
def serve(enhancer: Enhancer) -> Iterator[Callable[..., Any]]:
    """Starts applications with other limits than usual, and ends them."""
    testing = pytest.importorskip("fastapi.testclient", reason="needs the extra app")
    from speechduet.app.application import AppSettings, create_app
    from speechduet.app.limits import Limits

    begun: list[Any] = []

    def serve(password: str = "", names: tuple[str, ...] = (), **limits: Any) -> Any:
        settings = AppSettings(replace(Limits(), **limits), password, names)
        application = create_app(settings, enhancer)
        client = testing.TestClient(application, base_url="http://127.0.0.1:7860")
        begun.append(client.__enter__())
        return client

    yield serve
    for client in begun:
        client.__exit__(None, None, None)
