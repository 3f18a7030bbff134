import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from speechduet import metrics
from speechduet.cli import app
from speechduet.cli.evaluate import _Further
from speechduet.evaluation import FURTHER


@pytest.fixture
def folder(tmp_path: Path, speech: np.ndarray, rng: np.random.Generator) -> Path:
    for name in ("a", "b"):
        for role, level in (("clean", 0), ("noisy", 0.03), ("enhanced", 0.01)):
            (tmp_path / role).mkdir(exist_ok=True)
            waveform = speech + level * rng.standard_normal(speech.size)
            soundfile.write(tmp_path / role / f"{name}.flac", waveform, 16_000)
    return tmp_path


def run(folder: Path, *options: str) -> Result:
    folders = ["--clean", str(folder / "clean"), "--enhanced", str(folder / "enhanced")]
    return CliRunner().invoke(app, ["evaluate", *folders, "--jobs", "1", *options])


def test_means_go_to_stdout(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "| metric | mean | 95 % interval | files |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["PESQ", "ESTOI", "SI-SDR (dB)"]
    assert all(line.endswith("| 2 |") for line in lines[2:])


def test_files_are_written(folder: Path) -> None:
    outputs = {kind: folder / "out" / f"scores.{kind}" for kind in ("csv", "json", "md")}
    result = run(
        folder,
        *("--noisy", str(folder / "noisy"), "--csv", str(outputs["csv"])),
        *("--json", str(outputs["json"]), "--report", str(outputs["md"])),
    )
    assert result.exit_code == 0
    record = json.loads(outputs["json"].read_text())
    assert record["summary"]["si_sar"]["n"] == 2
    rows = outputs["csv"].read_text().splitlines()
    assert rows[0] == "file,pesq,estoi,si_sdr,si_sir,si_sar"
    assert float(rows[1].split(",")[3]) == record["files"][0]["si_sdr"]
    assert len(list((folder / "out").iterdir())) == 3
    # The noisy input has a row of its own, beside the system.
    for text in (outputs["md"].read_text(), result.stdout):
        assert "| noisy input | " in text and "| PESQ | enhanced − noisy input | +" in text
    assert "noisy input" not in outputs["csv"].read_text() + outputs["json"].read_text()
    alone = run(folder, "--report", str(outputs["md"]))
    assert alone.stdout in outputs["md"].read_text()
    assert "noisy input" not in outputs["md"].read_text()


def test_stoi_and_estoi_are_called_by_their_names(folder: Path) -> None:
    csv_file, json_file = folder / "scores.csv", folder / "scores.json"
    outputs = ["--csv", str(csv_file), "--json", str(json_file)]
    result = run(folder, "--metric", "stoi", *outputs)
    clean, enhanced = (
        soundfile.read(folder / role / "a.flac")[0] for role in ("clean", "enhanced")
    )
    expected = {name: getattr(metrics, name)(enhanced, clean, 16_000) for name in ("estoi", "stoi")}
    assert expected["estoi"] < expected["stoi"] - 0.01
    row = next(csv.DictReader(csv_file.open()))
    record = json.loads(json_file.read_text())
    means = {line.split("|")[1].strip(): line.split("|")[2] for line in result.stdout.splitlines()}
    for name, value in expected.items():
        assert float(row[name]) == record["files"][0][name] == pytest.approx(value, abs=1e-6)
        assert float(means[name.upper()]) == pytest.approx(
            record["summary"][name]["mean"], abs=1e-3
        )


def test_a_failed_file_is_named_and_not_averaged(folder: Path) -> None:
    (folder / "enhanced/a.flac").unlink()
    json_file = folder / "scores.json"
    result = run(folder, "--json", str(json_file))
    assert result.exit_code == 1
    assert "failed: a: no enhanced recording of this name" in result.stderr
    record = json.loads(json_file.read_text())
    assert record["summary"]["pesq"]["n"] == 1
    assert record["failed"][0]["file"] == "a"


def test_usage_errors(folder: Path) -> None:
    assert run(folder, "--report", "scores.pdf").exit_code == 2
    assert run(folder, "--noisy", str(folder / "absent")).exit_code == 2
    for path in [*(folder / "clean").iterdir(), *(folder / "enhanced").iterdir()]:
        path.unlink()
    result = run(folder)
    assert result.exit_code == 2
    assert "no recordings" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--csv", "clean/a.flac"], "clean/a.flac is a recording; expected the name of a table"),
        (["--csv", "new.csv", "--json", "clean/../new.csv"], "would replace a file of this very"),
        (["--manifest", "list.csv", "--csv", "list.csv"], "would replace a file of this very"),
        (["--recogniser", "list.csv:f", "--json", "list.csv"], "would replace a file of this"),
    ],
)
def test_what_is_read_is_not_written_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    Path("list.csv").write_text("file,snr_db\na,5\nb,5\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = run(folder, *options)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def several(folder: Path, *options: str) -> Result:
    """The enhanced recordings against the noisy ones, as two systems."""
    systems = ["--enhanced", f"noisy={folder / 'noisy'}"]
    return run(folder, *systems, *options)


def test_systems_are_compared(folder: Path) -> None:
    json_file, csv_file = folder / "scores.json", folder / "scores.csv"
    result = several(folder, "--json", str(json_file), "--csv", str(csv_file))
    assert result.exit_code == 0
    assert "| enhanced | " in result.stdout
    assert "| PESQ | enhanced − noisy | +" in result.stdout
    record = json.loads(json_file.read_text())
    assert list(record["systems"]) == ["enhanced", "noisy"]
    assert record["summary"] == record["systems"]["enhanced"]["summary"]
    rows = csv_file.read_text().splitlines()
    assert rows[0] == "system,file,pesq,estoi,si_sdr,si_sir,si_sar"
    assert [row.split(",")[:2] for row in rows[1:]] == [
        ["enhanced", "a"],
        ["enhanced", "b"],
        ["noisy", "a"],
        ["noisy", "b"],
    ]


def test_the_noisy_input_as_a_system_is_scored_once(folder: Path) -> None:
    """Of itself nothing was removed: it has no SI-SIR and no confidence, and all other scores."""
    json_file = folder / "scores.json"
    options = ["--metric", "confidence", "--json", str(json_file)]
    result = several(folder, "--noisy", f"{folder}/clean/../noisy", *options)
    assert result.exit_code == 0 and "noisy input" not in result.stdout + result.stderr
    systems = json.loads(json_file.read_text())["systems"]
    for name, count in {"pesq": 2, "si_sir": 0, "confidence_rank": 0}.items():
        assert systems["noisy"]["summary"][name]["n"] == count
        assert systems["enhanced"]["summary"][name]["n"] == 2


def test_a_failure_names_its_system(folder: Path) -> None:
    (folder / "noisy/a.flac").unlink()
    result = several(folder)
    assert result.exit_code == 1
    assert "failed: noisy: a: no enhanced recording of this name" in result.stderr
    assert result.stdout.count("| PESQ | enhanced − noisy |") == 1


def test_a_manifest_breaks_the_means_down(folder: Path) -> None:
    manifest, json_file = folder / "manifest.csv", folder / "scores.json"
    manifest.write_text("name,snr_db,noise\na,0,rain\nb,5,fan\n")
    result = run(folder, "--manifest", str(manifest), "--json", str(json_file))
    assert result.exit_code == 0
    assert "## By input SNR\n\n| input SNR | PESQ |" in result.stdout
    assert "\n| rain | " in result.stdout
    groups = json.loads(json_file.read_text())["groups"]
    assert list(groups["snr_db"]) == ["0 dB", "5 dB"]
    assert groups["noise"]["fan"]["pesq"]["n"] == 1


def test_a_manifest_of_other_recordings_is_refused(folder: Path) -> None:
    manifest = folder / "manifest.csv"
    manifest.write_text("name,snr_db\nx,0\n")
    result = run(folder, "--manifest", str(manifest))
    assert result.exit_code == 2
    assert "states nothing about a or any other recording" in result.stderr


def test_metrics_can_be_added(folder: Path) -> None:
    csv_file = folder / "scores.csv"
    result = run(folder, "--metric", "lsd", "--metric", "stoi", "--csv", str(csv_file))
    assert result.exit_code == 0
    assert "| LSD (dB; less is better) | " in result.stdout
    assert csv_file.read_text().startswith("file,pesq,estoi,si_sdr,si_sir,si_sar,lsd,stoi\n")
    assert {metric.value for metric in _Further} == set(FURTHER)


def test_words_are_heard_by_a_recogniser_of_ones_own(folder: Path) -> None:
    (folder / "mine.py").write_text("""
def words(samples, rate):
    return "A cat." if rate == 16_000 and samples.std() else "nothing"

def phonemes(samples, rate):
    return "k æ t"

def silence(samples, rate):
    return ""
""")
    json_file, csv_file, report = (folder / f"scores.{kind}" for kind in ("json", "csv", "md"))
    options = ["--recogniser", f"{folder / 'mine.py'}:words"]
    options += ["--phoneme-recogniser", f"{folder / 'mine.py'}:phonemes"]
    outputs = ["--json", str(json_file), "--csv", str(csv_file), "--report", str(report)]
    result = run(folder, *options, *outputs)
    assert result.exit_code == 0
    assert "| WER over all words (less is better) | 0.000 | 0.000 to 0.000 | 2 |" in result.stdout
    assert "| phoneme similarity | 1.000 |" in result.stdout and result.stdout in report.read_text()
    record = json.loads(json_file.read_text())
    assert record["summary"]["wer_corpus"] == {"mean": 0, "ci95": [0, 0], "n": 2}
    assert record["files"][0]["words_enhanced"] == "a cat"
    rows = list(csv.DictReader(csv_file.open()))
    assert (rows[1]["wer"], rows[1]["wer_words"], rows[1]["words_clean"]) == ("0.0", "2", "a cat")
    assert rows[1]["phonemes_enhanced"] == "k æ t"
    silent = run(folder, "--recogniser", f"{folder / 'mine.py'}:silence")
    assert silent.exit_code == 1
    assert silent.stderr.count("the recogniser hears no words in the reference") == 2
    assert silent.stdout == ""


def test_a_page_is_written(folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib for the figures")
    page = folder / "report.HTML"
    assert run(folder, "--report", str(page)).exit_code == 0
    assert page.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("lacking", "options"),
    [
        ("pesq", []),
        ("pystoi", []),
        ("jinja2", ["--report", "r.html"]),
        ("matplotlib", ["--report", "r.html"]),
    ],
)
def test_what_is_missing_is_told_before_anything_is_scored(
    folder: Path, lacking: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(*given: object) -> None:
        raise AssertionError("it was scored")

    monkeypatch.setattr("speechduet.cli.evaluate.evaluate_pairs", score)
    monkeypatch.setattr("speechduet.extras.find_spec", lambda name: name != lacking or None)
    result = run(folder, *options)
    assert result.exit_code == 2
    assert f"{lacking} is not installed; pip install 'speechduet[evaluation]'" in result.stderr


@pytest.mark.parametrize(
    ("enhanced", "message"),
    [
        ("absent", "absent is not a folder"),
        ("x=absent", "absent is not a folder"),
        ("enhanced={folder}/noisy", "would be 'enhanced'"),
        ("={folder}/noisy", "without a name"),
        ("x=", "names no folder"),  # of a shell variable that is not set
        ("l" * 300, "is not a folder"),
        ("l" * 300 + "={folder}/absent", "is not a folder"),
    ],
)
def test_systems_are_folders_with_names(folder: Path, enhanced: str, message: str) -> None:
    result = run(folder, "--enhanced", enhanced.format(folder=folder))
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_a_folder_may_have_an_equals_sign_in_its_name(folder: Path) -> None:
    (folder / "enhanced").rename(folder / "beta=0.5")
    options = ["--clean", str(folder / "clean"), "--enhanced", str(folder / "beta=0.5")]
    assert CliRunner().invoke(app, ["evaluate", *options, "--jobs", "1"]).exit_code == 0
