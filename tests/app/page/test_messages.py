"""What the page says of what cannot be enhanced, in headless Chromium."""

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs the package playwright")

from playwright.sync_api import Page, expect

from browsing import enhance, long_recording

pytestmark = pytest.mark.slow


def test_what_is_no_recording_gets_a_message(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "letter {1}.wav"
    path.write_bytes(b"Dear reader, " * 200)
    enhance(page, path)
    alert = page.get_by_role("alert").filter(has_text="is not audio")
    expect(alert).to_contain_text("letter")
    expect(alert).not_to_contain_text("Traceback")
    expect(alert).not_to_contain_text(str(tmp_path.parent))
    expect(page.get_by_role("button", name="Enhance")).to_be_enabled()


def test_what_is_too_long_gets_a_message(page: Page, tmp_path: Path) -> None:
    enhance(page, long_recording(tmp_path / "long.wav", 61))
    expect(page.get_by_role("alert").filter(has_text="at most 60 s")).to_contain_text("long.wav")


def test_what_is_too_large_gets_a_message(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    path.write_bytes(b"0" * 31_000_000)
    page.locator("input[type=file]").first.set_input_files(path)
    expect(page.get_by_text(re.compile("size|large", re.I)).first).to_be_visible()


def test_nothing_chosen_is_said(page: Page) -> None:
    page.get_by_role("button", name="Enhance").click()
    expect(page.get_by_role("alert").filter(has_text="No recording is chosen")).to_be_visible()
