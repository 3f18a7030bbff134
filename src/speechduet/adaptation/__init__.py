"""Adaptation of a model to a user's own noise: minutes of fine-tuning, then a check."""

from speechduet.adaptation.recipe import Adaptation
from speechduet.adaptation.run import adapt, check_new
from speechduet.adaptation.verdict import Verdict

__all__ = ["Adaptation", "Verdict", "adapt", "check_new"]
