"""Recording on the page, with a microphone that hears a file, in headless Chromium."""

import io
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
import soundfile

pytest.importorskip("playwright", reason="needs the package playwright")

from playwright.sync_api import Page, sync_playwright

from browsing import PATIENCE_S

pytestmark = pytest.mark.slow

TONE_HZ, RATE = 440.0, 48_000


@pytest.fixture
def listening_page(server: Any, tmp_path: Path) -> Iterator[Page]:
    chromium = which("chromium")
    if chromium is None:
        pytest.skip("needs chromium (apt-get install chromium)")
    tone = tmp_path / "tone.wav"
    soundfile.write(tone, 0.3 * np.sin(2 * np.pi * TONE_HZ / RATE * np.arange(5 * RATE)), RATE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={tone}",
            ],
        )
        page = browser.new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        page.goto(server.address)
        yield page
        browser.close()


def test_what_the_microphone_hears_is_enhanced(listening_page: Page) -> None:
    page = listening_page
    page.get_by_role("tab", name="Microphone").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("button", name="Stop", exact=True).wait_for()
    page.wait_for_timeout(2500)  # of sound
    with page.expect_response(lambda answer: "/gradio_api/upload" in answer.url):
        page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("radio", name="Fast:").check()
    page.get_by_role("button", name="Enhance").click()
    page.locator("speech-result").wait_for()
    folder = str(page.locator("speech-result").get_attribute("data-folder"))
    sound = page.request.get(urljoin(page.url, folder + "sound.flac")).body()
    noisy, rate = soundfile.read(io.BytesIO(sound))
    assert len(noisy) > rate
    spectrum = np.abs(np.fft.rfft(noisy[:, 0]))
    assert np.argmax(spectrum) * rate / len(noisy) == pytest.approx(TONE_HZ, abs=5)
