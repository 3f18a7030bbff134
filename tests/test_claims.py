"""The table of the paper's claims, on scores that are made up so that the answers are known."""

import csv
import runpy
import sys
from pathlib import Path

import pytest

from speechduet.sampler import Sampling
from speechduet.sampling import SETTINGS

FILES = [f"file{number}.wav" for number in range(8)]


def line(
    system: str, sampling: Sampling, seed: int, file: str, pesq: float, si_sdr: float
) -> list[object]:
    settings = [getattr(sampling, key) for key in SETTINGS]
    return ["valid", system, *settings, seed, file, pesq, 0.7, si_sdr, 0.0, 0.0]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """GP-SGMSE+ is better than SGMSE+ by 0.1 PESQ on every file, and no different in SI-SDR."""
    path = tmp_path / "files.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        columns = ["seed", "file", "pesq", "estoi", "si_sdr", "si_sir", "si_sar"]
        writer.writerow(["set", "system", *SETTINGS, *columns])
        for number, file in enumerate(FILES):
            for seed in (0, 1):
                base, sign = 1.5 + 0.1 * number, 1 if number % 2 else -1
                for steps, lost in ((5, 0.4), (30, 0.0)):
                    # Exact steps bring half of what is lost back.
                    for grid, share in (("paper", 1.0), ("exact", 0.5)):
                        sampling = Sampling(steps=steps, grid=grid)  # type: ignore[arg-type]
                        pesq = base - lost * share + 0.02 * seed
                        writer.writerow(line("sgmse_plus", sampling, seed, file, pesq, 10.0))
                        pesq, si_sdr = pesq + 0.1, 10.0 + sign
                        writer.writerow(line("joint", sampling, seed, file, pesq, si_sdr))
    return path


def test_claims_of_known_scores(
    root: Path, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = root / "benchmarks" / "claims.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(files)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert not ended.value.code
    text = capsys.readouterr().out
    assert "| paper | 5 | +0.100 [+0.100, +0.100] + | +0.000 [+0.000, +0.000] · |" in text
    # As many files better as worse: the interval holds zero.
    (row,) = [part for part in text.splitlines() if part.startswith("| exact | 30 | +0.100")]
    assert row.endswith("] · |")
    # Mean over seeds: 1.85 and 0.01.
    assert "| SGMSE+ | paper | – | – | – | 1.460 |" in text
    assert "| SGMSE+ | 5 | +0.400 [+0.400, +0.400] + | +0.200 [+0.200, +0.200] + | 50% |" in text


def test_a_set_without_scores_has_empty_tables(
    root: Path, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = root / "benchmarks" / "claims.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(files), "--set", "test"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(script), run_name="__main__")
    assert "SGMSE+ | paper" not in capsys.readouterr().out
