"""The page, used as people use it: in headless Chromium, against a server on this machine."""

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np
import pytest
import soundfile

pytest.importorskip("playwright", reason="needs the package playwright")

from playwright.sync_api import Page, expect

from speechduet.enhancement.batches import Batches
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file

pytestmark = pytest.mark.slow

PATIENCE_S = 120.0


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it has not come about"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def heard(open_page: Callable[..., Page], server: Any, street: Path) -> Page:
    """A page on which a recording is enhanced already."""
    page = open_page(server.address)
    enhanced(page, street, "Balanced")
    return page


def enhance(page: Page, path: Path, mode: str = "Fast") -> None:
    page.locator("input[type=file]").first.set_input_files(path)
    # The name of what has arrived; while it is sent the name is shown as text only.
    page.get_by_label(path.name, exact=True).wait_for()
    page.get_by_role("radio", name=f"{mode}:").check()
    page.get_by_role("button", name="Enhance").click()


def enhanced(page: Page, path: Path, mode: str = "Fast") -> None:
    enhance(page, path, mode)
    page.locator("speech-result").wait_for()


def fetched(page: Page, address: str) -> bytes:
    response = page.request.get(urljoin(page.url, address), timeout=1000 * PATIENCE_S)
    assert response.status == 200
    return response.body()


def playing(page: Page) -> dict[str, Any]:
    """What the player does, as its element knows it."""
    state: dict[str, Any] = page.locator("speech-result").evaluate(
        "element => ({at: element.sound.currentTime, paused: element.sound.paused,"
        " weights: element.weights, gains: element.gains?.map(gain => gain.gain.value)})"
    )
    return state


def long_recording(path: Path, seconds: int) -> Path:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000 * seconds)
    soundfile.write(path, noise, 16_000)
    return path


def test_a_recording_comes_back_enhanced(heard: Page, street: Path) -> None:
    folder = str(heard.locator("speech-result").get_attribute("data-folder"))
    sound, rate = soundfile.read(io.BytesIO(fetched(heard, folder + "sound.flac")))
    noisy, given_rate = soundfile.read(street)
    assert rate == given_rate
    np.testing.assert_allclose(sound[:, 0], noisy, atol=1e-4)
    assert np.abs(sound[:, 1] - noisy).max() > 0.05
    for name in ("noisy", "enhanced", "removed"):
        picture = heard.locator(f"figure[data-version={name}] img").first
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


@pytest.mark.parametrize("percent", [100, 35])
def test_the_download_is_what_the_command_line_writes(
    heard: Page, street: Path, enhancer: Enhancer, tmp_path: Path, percent: int
) -> None:
    heard.get_by_role("slider", name="Strength").fill(str(percent))
    with heard.expect_download() as download:
        heard.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "street-enhanced.flac"
    expected = tmp_path / "street.flac"
    enhance_file(street, expected, enhancer, strength=percent / 100)
    assert Path(download.value.path()).read_bytes() == expected.read_bytes()


def test_the_switch_and_the_strength_keep_the_place(page: Page, tmp_path: Path) -> None:
    enhanced(page, long_recording(tmp_path / "long.wav", 59))
    evaluated = count_evaluations(page)
    page.get_by_role("button", name="Play").click()
    wait_for(lambda: playing(page)["at"] > 0.3)
    for label, strength, weights in (
        ("A Noisy", 100, [1, 0]),
        ("B Enhanced", 100, [0, 1]),
        ("B Enhanced", 40, [0.6, 0.4]),
        ("Removed part", 40, [0.4, -0.4]),
    ):
        begun, before = time.monotonic(), playing(page)
        page.get_by_role("radio", name=label).check()
        page.get_by_role("slider", name="Strength").fill(str(strength))
        after = playing(page)
        assert not after["paused"]
        assert 0 <= after["at"] - before["at"] < time.monotonic() - begun + 0.5
        assert after["weights"] == pytest.approx(weights)
        wait_for(lambda wanted=weights: np.allclose(playing(page)["gains"], wanted, atol=0.01))
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("slider", name="Position in the recording").fill("12")
    page.get_by_role("radio", name="A Noisy").check()
    assert playing(page)["paused"]
    assert playing(page)["at"] == pytest.approx(12)
    assert not evaluated()


def count_evaluations(page: Page) -> Callable[[], list[str]]:
    """What Gradio is asked to do from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return lambda: [url for url in asked if "queue/join" in url]


def test_all_of_it_with_the_keyboard(heard: Page) -> None:
    heard.get_by_role("slider", name="Strength").fill("100")
    heard.get_by_role("radio", name="B Enhanced").check()
    heard.get_by_role("button", name="Play").focus()
    heard.keyboard.press("Space")
    wait_for(lambda: playing(heard)["at"] > 0)
    heard.keyboard.press("Tab")
    heard.keyboard.press("Home")
    assert heard.evaluate("document.activeElement.ariaLabel") == "Position in the recording"
    heard.keyboard.press("Tab")
    heard.keyboard.press("ArrowRight")
    expect(heard.get_by_role("radio", name="Removed part")).to_be_checked()
    heard.keyboard.press("Tab")
    heard.keyboard.press("ArrowLeft")
    expect(heard.get_by_role("link", name="Download")).to_have_attribute(
        "href", re.compile(r"strength=0\.99$")
    )


def test_everything_has_a_name_for_a_screen_reader(heard: Page) -> None:
    nameless = heard.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, img")]
          .filter(it => it.checkVisibility())
          .filter(it => !(it.labels?.length || it.ariaLabel || it.alt || it.textContent.trim()
                          || it.title || it.getAttribute("aria-labelledby")))
          .map(it => it.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
    assert heard.locator("html").get_attribute("lang") == "en"


def test_where_the_decoders_disagree_lies_over_the_enhanced_picture(heard: Page) -> None:
    overlay = heard.locator("figure[data-version=enhanced] .sd-overlay")
    assert overlay.evaluate("image => getComputedStyle(image).opacity") == "0"
    heard.get_by_role("checkbox", name=re.compile("less sure")).check()
    assert overlay.evaluate("image => getComputedStyle(image).opacity") == "1"
    assert overlay.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


def test_fast_mode_has_no_such_map(page: Page, street: Path) -> None:
    enhanced(page, street, "Fast")
    assert page.locator(".sd-overlay").count() == 0


def test_the_reverse_process_step_by_step(heard: Page) -> None:
    heard.get_by_text("The reverse process, step by step").click()
    wait_for(lambda: takes(heard, 3))
    heard.get_by_role("button", name="Show the steps").click()
    slider = heard.get_by_role("slider", name="Reverse step", exact=True)
    slider.wait_for()
    assert slider.get_attribute("aria-valuetext") == "Step 1 of 3, at time 1.000"
    slider.fill("3")
    shown = heard.locator(".sd-step:visible")
    expect(shown).to_have_count(1)
    assert shown.get_attribute("data-title") == "Step 3 of 3, at time 0.030"
    # beta is 0.5: the last step needs both decoders.
    expect(shown.locator("img")).to_have_count(4)
    for picture in shown.locator("img").all():
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


def takes(page: Page, steps: int) -> bool:
    """Whether the number holds, which Gradio sets to its default while it unfolds the part."""
    page.get_by_role("spinbutton").fill(str(steps))
    time.sleep(0.1)
    return page.get_by_label("range slider for Reverse steps").input_value() == str(steps)


class Segments:
    """Holds an enhancer back after a few segments, until it may go on."""

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
    page.get_by_role("button", name="Cancel").click()
    wait_for(lambda: is_unwanted(server))
    segments.go_on.set()
    expect(page.get_by_role("status").filter(has_text="Cancelled")).to_be_visible()
    wait_for(lambda: server.jobs.count("running") == 0)
    # The one at hand, and no other.
    assert segments.begun == segments.free + 1
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
    page.context.close()
    wait_for(lambda: is_unwanted(server))
    segments.go_on.set()
    wait_for(lambda: server.jobs.count("running") == 0)
    wait_for(lambda: files_of_jobs(server) == before)
    assert segments.begun <= segments.free + 1


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


def test_a_bundled_sample(page: Page) -> None:
    page.get_by_role("tab", name="Sample").click()
    page.get_by_label("cafe").check()
    page.get_by_role("button", name="Enhance").click()
    page.locator("speech-result").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone(
    open_page: Callable[..., Page], server: Any, street: Path, scheme: str
) -> None:
    page = open_page(server.address, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    enhanced(page, street, "Balanced")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    too_wide = page.evaluate(
        """() => [...document.querySelectorAll("speech-result *")]
          .filter(it => it.getBoundingClientRect().right > 390).map(it => it.className)"""
    )
    assert too_wide == []


def test_it_works_behind_a_password(
    open_page: Callable[..., Page], serve: Any, enhancer: Enhancer, street: Path
) -> None:
    with serve(enhancer, "secret") as server:
        page = open_page(server.address, http_credentials={"username": "me", "password": "secret"})
        enhanced(page, street)
        page.get_by_role("button", name="Play").click()
        wait_for(lambda: playing(page)["at"] > 0.1)
        page.context.close()


def test_nothing_was_asked_of_another_machine(heard: Page, traffic: Any) -> None:
    local = ("data:", "blob:")
    assert len(traffic.requests) > 50
    assert {urlsplit(url).hostname for url in traffic.requests if not url.startswith(local)} == {
        "127.0.0.1"
    }
    assert not traffic.errors
