"""Published results on the test set of VoiceBank-DEMAND, 16 kHz, 824 files.

`SCORES` are from the table of results, `BY_STEPS` and `PREDICTIVE` from the figures and the text
of arXiv 2305.10734 v2. The curves were read off the figures: to 0.02 PESQ and 0.05 dB.
"""

from collections.abc import Mapping

from speechduet.recipe import RECIPES, Published

SCORES: Mapping[str, Published] = {
    "noisy": Published(1.97, 0.79, 8.4),
    **{recipe.name: recipe.scores for recipe in RECIPES if recipe.scores},
}
"""By the names of the recipes; *noisy* is the input."""

STEPS = (5, 10, 15, 20, 25, 30)

BY_STEPS: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "pesq": {
        "SGMSE+": (1.09, 1.62, 2.28, 2.71, 2.90, 2.93),
        "GP-SGMSE+": (1.20, 1.66, 2.31, 2.71, 2.89, 2.95),
        "GP-Unified": (2.18, 2.69, 2.87, 2.92, 2.92, 2.97),
        "GP-Unified without first fusion": (2.13, 2.66, 2.85, 2.88, 2.92, 2.95),
        "StoRM": (1.25, 2.18, 2.73, 2.94, 2.97, 2.96),
    },
    "si_sdr": {
        "SGMSE+": (5.8, 14.0, 16.4, 16.9, 17.2, 17.3),
        "GP-SGMSE+": (10.1, 14.3, 17.1, 17.7, 17.9, 17.9),
        "GP-Unified": (15.6, 18.3, 18.4, 18.3, 18.2, 18.3),
        "GP-Unified without first fusion": (13.2, 17.5, 17.8, 18.0, 17.9, 18.0),
        "StoRM": (11.5, 17.9, 18.5, 18.6, 18.6, 18.6),
    },
    "si_sir": {
        "SGMSE+": (18.9, 26.4, 27.7, 27.9, 28.2, 28.1),
        "GP-SGMSE+": (17.8, 26.8, 28.4, 28.9, 29.1, 29.0),
        "GP-Unified": (30.8, 30.7, 30.5, 30.7, 30.4, 30.0),
        "GP-Unified without first fusion": (23.3, 25.6, 27.5, 28.9, 28.9, 29.2),
        "StoRM": (29.8, 31.1, 31.0, 30.9, 31.0, 30.9),
    },
    "si_sar": {
        "SGMSE+": (6.1, 14.5, 17.0, 17.6, 17.9, 17.9),
        "GP-SGMSE+": (11.1, 14.7, 17.6, 18.3, 18.5, 18.5),
        "GP-Unified": (15.9, 18.7, 18.8, 18.7, 18.6, 18.7),
        "GP-Unified without first fusion": (13.8, 18.4, 18.5, 18.5, 18.5, 18.5),
        "StoRM": (11.6, 18.3, 19.1, 19.2, 19.2, 19.1),
    },
}
"""Metric, system, and the scores at each number of `STEPS`."""

PREDICTIVE: tuple[float, ...] = (2.16, 2.67, 2.85, 2.91, 2.93, 2.95)
"""PESQ of GP-Unified's predictive output at each number of `STEPS`."""
