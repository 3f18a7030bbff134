"""The published numbers, against the notes beside the repository that they were taken from."""

from pathlib import Path

from speechduet.study.published import BY_STEPS, PREDICTIVE, SCORES, STEPS

TITLES = {"pesq": "PESQ", "si_sdr": "SI-SDR", "si_sir": "SI-SIR", "si_sar": "SI-SAR"}


def test_every_curve_has_a_point_for_each_number_of_steps() -> None:
    assert len(PREDICTIVE) == len(STEPS)
    for curves in BY_STEPS.values():
        assert all(len(values) == len(STEPS) for values in curves.values())


def test_they_are_the_papers(shared: Path) -> None:
    lines = (shared / "paper.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    cells = {row[0]: row[1:] for row in rows if len(row) > 3}
    for metric, curves in BY_STEPS.items():
        expected = [tuple(map(float, cell.split())) for cell in cells[TITLES[metric]]]
        assert list(curves.values()) == expected
    names = {"noisy": "mixture", "sgmse_plus": "SGMSE+", "storm": "StoRM"}
    names |= {"gp_sgmse_plus": "GP-SGMSE+", "gp_unified": "GP-Unified"}
    for name, scores in SCORES.items():
        assert [float(cell) for cell in cells[names[name]]] == list(scores)


def test_table_and_curves_agree_at_30_steps() -> None:
    """To the precision with which the curves were read."""
    for name, curve in (("sgmse_plus", "SGMSE+"), ("gp_unified", "GP-Unified")):
        assert abs(BY_STEPS["pesq"][curve][-1] - SCORES[name].pesq) <= 0.02
        assert abs(BY_STEPS["si_sdr"][curve][-1] - SCORES[name].si_sdr) <= 0.05
