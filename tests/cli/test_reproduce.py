"""``speechduet reproduce voicebank`` on a data set of a few seconds."""

import sys
from pathlib import Path

import pytest
import soundfile
import soxr

from speechduet.cli import main
from speechduet.data.voicebank import PARTS
from speechduet.study.published import Published

RECIPE = """
name: gp_unified
system: {layout: {generative: true, predictive: shared}}
network: {kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1, bins: 64}
process: {kind: ornstein_uhlenbeck}
spectrogram: {n_fft: 126, hop: 64}
modes: {fast: {steps: 0}}
data: {pairs: of/the/command}
mixing: {excerpt_s: 0.3}
run: {max_steps: 2, batch_size: 2, workers: 0, accelerator: cpu, valid_every_steps: 2}
"""
NAMES = {"train": ("p226_001", "p228_001", "p228_002"), "test": ("p232_001", "p257_001")}


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """archives/, as if unpacked, with speech in it, and a recipe."""
    for split, parts in PARTS.items():
        for part, role in zip(parts, ("clean", "noisy"), strict=True):
            (tmp_path / "archives" / part).mkdir(parents=True)
            samples, rate = soundfile.read(root / f"samples/{role}/rain.flac", frames=16_000)
            for name in NAMES[split]:
                path = tmp_path / "archives" / part / f"{name}.wav"
                soundfile.write(path, soxr.resample(samples, rate, 48_000), 48_000)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, str, str]:
    arguments = ["--data", str(folder / "archives"), "--folder", str(folder / "out")]
    arguments += ["--config", str(folder / "recipe.yaml"), "--expect-train", "3"]
    arguments += [
        "--expect-test",
        "2",
        "--jobs",
        "1",
        "--device",
        "cpu",
        "--valid-speakers",
        "p226",
    ]
    arguments += more
    monkeypatch.setattr(sys, "argv", ["speechduet", "reproduce", "voicebank", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_from_archives_to_a_verdict(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(folder, monkeypatch, capsys)
    assert status == 1, err
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines()[2:]]
    assert [line[:2] for line in lines[::3]] == [["noisy", "PESQ"], ["gp_unified", "PESQ"]]
    assert lines[3][2] == "2.97 ± 0.15" and lines[3][-1] == "fail"
    assert (folder / "out/gp_unified_paper.md").read_text() == out
    (enhanced,) = (folder / "out/enhanced").iterdir()
    assert enhanced.name.startswith("paper_")
    assert sorted(path.stem for path in enhanced.iterdir()) == list(NAMES["test"])
    # Again, with numbers that such a system reaches: nothing is done twice, and all rows pass.
    measured = {line[0]: Published(0, 0, 0) for line in lines}
    for line in lines:
        field = ("pesq", "estoi", "si_sdr")[lines.index(line) % 3]
        measured[line[0]] = measured[line[0]]._replace(**{field: float(line[3])})
    monkeypatch.setattr("speechduet.study.reproduction.SCORES", measured)
    monkeypatch.setattr(
        "speechduet.enhancement.files.enhance_file", lambda *_: pytest.fail("enhanced again")
    )
    again = run(folder, monkeypatch, capsys)
    assert again[0] == 0 and "fail" not in again[1]


@pytest.mark.filterwarnings("ignore")
def test_a_file_without_scores_ends_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    noisy = folder / "archives" / PARTS["test"][1] / "p232_001.wav"
    samples, rate = soundfile.read(noisy)
    soundfile.write(noisy, 0 * samples, rate)
    status, out, err = run(folder, monkeypatch, capsys)
    assert status == 1 and not out
    assert "failed: p232_001: " in err


def test_usage_errors_come_before_anything_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(folder, monkeypatch, capsys, "--override", "name=mine")
    assert status == 2 and "nothing was published of a model named 'mine'" in err
    assert not (folder / "out").exists()
    status, _, err = run(folder, monkeypatch, capsys, "--override", "run.max_step=2")
    assert status == 2 and "did you mean 'max_steps'?" in err
