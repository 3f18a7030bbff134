"""The page of a report: its structure, and what a browser makes of it."""

import base64
import html
import io
import json
import math
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import soundfile

from speechduet.evaluation import Evaluation, Scores, UnscoredFile
from speechduet.evaluation.page import to_html
from speechduet.evaluation.report import Report, to_markdown
from speechduet.names import markdown, shown

pytest.importorskip("matplotlib", reason="needs matplotlib for the figures")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Page(HTMLParser):
    """Elements with their attributes, texts, and a check that all that opens is closed."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def sources(self, tag: str) -> list[str]:
        return [attributes["src"] or "" for name, attributes in self.elements if name == tag]


def decoded(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2], validate=True)


def test_sections_tables_figures_and_examples(report: Report) -> None:
    text = to_html(report)
    page = Page(text)
    sections = {"Summary", "Comparison", "By input SNR", "By noise", "Distributions", "Examples"}
    assert sections < set(page.texts)
    assert "Best: deep/b (PESQ 3.000)" in page.texts
    assert "<fan>" in page.texts  # as text
    # Two files of noisy, two systems, clean; and two figures.
    assert len(page.sources("audio")) == 8
    kinds = [uri[5:15] for uri in page.sources("img")]
    assert kinds.count("image/webp") == 8
    assert kinds.count("image/svg+") == 2
    assert all(attributes.get("alt") for tag, attributes in page.elements if tag == "img")
    assert page.texts.count("noisy input") == page.texts.count("clean reference") == 2
    # It holds all that it shows, and the same scores give the same page.
    for _, attributes in page.elements:
        assert not attributes.keys() & {"href", "srcset"}
        assert str(attributes.get("src", "data:")).startswith("data:")
    assert to_html(report) == text
    # Players play the recordings.
    samples, rate = soundfile.read(io.BytesIO(decoded(page.sources("audio")[0])))
    expected, _ = soundfile.read(report.pairs["one"]["deep/b"].noisy)
    assert rate == 16_000
    assert samples == pytest.approx(expected, abs=2**-15)


def test_the_noisy_input_is_in_tables_and_figures(report: Report) -> None:
    noisy = Evaluation([Scores("a", 1.2, 0.5, 5.0), Scores("deep/b", 1.4, 0.6, 7.0)], [])
    page = Page(to_html(replace(report, noisy=noisy)))
    assert "one − noisy input" in page.texts and page.texts.count("noisy input") > 2
    boxes, over_snr = (decoded(uri) for uri in page.sources("img") if "svg" in uri[:20])
    assert (boxes, over_snr) != tuple(
        decoded(uri) for uri in Page(to_html(report)).sources("img") if "svg" in uri[:20]
    )


def test_long_recordings_are_cut(report: Report) -> None:
    pair = report.pairs["one"]["a"]
    for path in pair[1:]:
        samples, rate = soundfile.read(path)
        soundfile.write(path, [*samples] * 6, rate)
    for uri in Page(to_html(report)).sources("audio")[4:]:
        assert soundfile.info(io.BytesIO(decoded(uri))).duration == 10


def test_without_manifest_noisy_or_finite_scores(report: Report) -> None:
    files = [scores._replace(si_sdr=math.inf) for scores in report.systems["one"].files]
    pairs = {name: pair._replace(noisy=None) for name, pair in report.pairs["one"].items()}
    page = Page(to_html(Report({"one": Evaluation(files, [])}, {"one": pairs})))
    assert len(page.sources("audio")) == 4
    assert "Quality against input SNR" not in page.texts
    Page(to_html(Report({"one": Evaluation(files, [])}, {"one": pairs}, report.manifest)))


def test_what_failed_is_listed_and_not_shown(report: Report) -> None:
    path = report.pairs["two"]["a"].enhanced.with_name("broken.wav")
    path.write_text("not audio")
    two = Evaluation(report.systems["two"].files[1:], [UnscoredFile("a", "<not> audio")])
    broken = {"a": report.pairs["two"]["a"]._replace(enhanced=path)}
    failing = Report(
        {**report.systems, "two": two},
        {**report.pairs, "two": {**report.pairs["two"], **broken}},
    )
    page = Page(to_html(failing))
    assert "two: a: <not> audio" in page.texts
    assert len(page.sources("audio")) == 7
    nothing = Evaluation([], [UnscoredFile("a", "gone")])
    assert Page(to_html(Report({"one": nothing}, {"one": {}}))).sources("img") == []


def test_words_stand_beside_the_players_and_where_they_differ(report: Report) -> None:
    def hearing(evaluation: Evaluation, *texts: str) -> Evaluation:
        words = [
            {"wer": float(text != "a <b>"), "wer_words": 2, "words_enhanced": text}
            for text in texts
        ]
        further = [{**one, "words_clean": "a <b>"} for one in words]
        files = zip(evaluation.files, further, strict=True)
        return Evaluation([scores._replace(further=one) for scores, one in files], [])

    one, two = report.systems.values()
    systems = {"one": hearing(one, "a <b>", "a <b>"), "two": hearing(two, "a <b>", "")}
    page = Page(to_html(Report(systems, report.pairs)))
    assert page.texts.count("heard: a <b>") == 2 + 2 + 1  # clean, one, and two in one of both
    assert page.texts.count("heard: no words") == 1
    assert "Most word errors: two" in page.texts and "Most word errors: one" not in page.texts
    for title in ("WER (less is better)", "WER over all words (less is better)"):
        assert title in page.texts
    assert "wer_words" not in page.texts


@pytest.mark.parametrize(
    "name",
    ["x\udcff$a$b\n<b>|`x`", "$x^$", "W" * 200 + "語" * 200, "_a"],
    ids=range(4),
)
def test_systems_and_files_may_have_any_name(report: Report, name: str) -> None:
    def named(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: values["one"], "$": values["two"]}

    failed = Evaluation(report.systems["one"].files, [UnscoredFile(name, "gone")])
    odd = Report(named({**report.systems, "one": failed}), named(report.pairs), report.manifest)
    texts = Page(to_html(odd).encode().decode()).texts
    assert shown(name) in texts and f"{shown(name)}: {shown(name)}: gone" in texts
    lines = to_markdown(odd).splitlines()
    assert f"- {markdown(name)}: {markdown(name)}: gone" in lines
    assert any(line.startswith(f"| {markdown(name)} | ") for line in lines)


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_shows_and_plays_everything(report: Report, tmp_path: Path) -> None:
    """Pictures have pixels, sounds a duration, tables fit, and there is no error."""
    check = """<script>
    const failures = [];
    window.onerror = text => failures.push(text);
    window.onload = () => Promise.all([...document.querySelectorAll("audio")].map(player =>
      new Promise(resolve => {
        if (player.readyState) resolve(player.duration);
        player.onloadedmetadata = () => resolve(player.duration);
        player.onerror = () => resolve(NaN);
      }))).then(durations => {
        const widths = [...document.images].map(image => image.naturalWidth);
        const wide = document.documentElement.scrollWidth > innerWidth;
        document.body.dataset.seen = JSON.stringify({durations, widths, wide, failures});
      });
    </script>"""
    path = tmp_path / "report.html"
    path.write_text(to_html(report).replace("</head>", check + "</head>"), encoding="utf-8")
    switches = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1200,900",
        "--virtual-time-budget=20000",
        "--dump-dom",
    ]
    result = subprocess.run(
        [BROWSER, *switches, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'data-seen="([^"]+)"', result.stdout)
    assert found, result.stderr[-2000:]
    seen = json.loads(html.unescape(found[1]))
    assert seen["durations"] == [pytest.approx(2, abs=0.01)] * 8
    assert len(seen["widths"]) == 10
    assert all(width > 300 for width in seen["widths"])
    assert not seen["wide"]
    assert seen["failures"] == []
