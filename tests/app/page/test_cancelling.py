"""Work that nobody wants any more, in headless Chromium."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs the package playwright")

from playwright.sync_api import Page, expect

from browsing import PATIENCE_S, enhance, long_recording, wait_for
from speechduet.enhancement.batches import Batches

pytestmark = pytest.mark.slow


class Segments:
    """Holds an enhancer at a segment, after a few others, until it may go on."""

    free = 5

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self.go_on = threading.Event()
        usual = Batches.enhance

        def enhance(*given: Any) -> Any:
            self.begun += 1
            assert self.begun <= self.free or self.go_on.wait(PATIENCE_S)
            return usual(*given)

        monkeypatch.setattr(Batches, "enhance", enhance)

    def wait_until_held(self) -> None:
        """From here on a job that is cancelled can be seen: it ends only when it may go on."""
        wait_for(lambda: self.begun > self.free)


@pytest.fixture
def segments(monkeypatch: pytest.MonkeyPatch) -> Iterator[Segments]:
    segments = Segments(monkeypatch)
    yield segments
    segments.go_on.set()


def test_cancelling_stops_the_work(
    page: Page, server: Any, tmp_path: Path, segments: Segments
) -> None:
    before = files_of_jobs(server)
    enhance(page, long_recording(tmp_path / "long.wav", 50))
    bar = page.get_by_role("progressbar", name="Enhancing")
    expect(bar).to_have_attribute("value", re.compile(r"0\.0[1-9]"))
    segments.wait_until_held()
    page.get_by_role("button", name="Cancel").click()
    wait_for(lambda: is_unwanted(server))
    segments.go_on.set()
    expect(page.get_by_role("status").filter(has_text="Cancelled")).to_be_visible()
    wait_for(lambda: server.jobs.count("running") == 0)
    assert segments.begun == segments.free + 1  # the one at hand
    assert files_of_jobs(server) == before
    expect(page.get_by_role("button", name="Enhance")).to_be_enabled()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def is_unwanted(server: Any) -> bool:
    return any(job.unwanted for job in list(server.jobs._jobs.values()))


def files_of_jobs(server: Any) -> list[Path]:
    return list(Path(server.jobs._folder.name).iterdir())


def test_who_closes_the_page_frees_the_place(
    page: Page, server: Any, tmp_path: Path, segments: Segments
) -> None:
    before = files_of_jobs(server)
    enhance(page, long_recording(tmp_path / "long.wav", 50))
    page.get_by_role("progressbar", name="Enhancing").wait_for()
    segments.wait_until_held()
    page.context.close()
    wait_for(lambda: is_unwanted(server))
    segments.go_on.set()
    wait_for(lambda: server.jobs.count("running") == 0)
    wait_for(lambda: files_of_jobs(server) == before)
    assert segments.begun == segments.free + 1
