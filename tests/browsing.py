"""What tests do with the page as people do."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

if TYPE_CHECKING:  # It may be missing.
    from playwright.sync_api import Page

PATIENCE_S = 120.0
"""For a machine that has other things to do."""


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it has not come about"
        time.sleep(0.05)


def enhance(page: "Page", path: Path, mode: str = "Fast") -> None:
    page.locator("input[type=file]").first.set_input_files(path)
    # The name of what has arrived; while it is sent the name is shown as text only.
    page.get_by_label(path.name, exact=True).wait_for()
    page.get_by_role("radio", name=f"{mode}:").check()
    page.get_by_role("button", name="Enhance").click()


def enhanced(page: "Page", path: Path, mode: str = "Fast") -> None:
    enhance(page, path, mode)
    page.locator("speech-result").wait_for()


def long_recording(path: Path, seconds: int) -> Path:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000 * seconds)
    soundfile.write(path, noise, 16_000)
    return path
