"""Training data: recordings, mixtures made of them on the fly, and pairs made before."""

from speechduet.data.examples import Examples
from speechduet.data.mixing import Mixing, Mixtures
from speechduet.data.pair_excerpts import FittingPair, PairExcerpts, fit
from speechduet.data.pairs import ClipPair, find_pairs
from speechduet.data.recordings import Recordings

__all__ = [
    "ClipPair",
    "Examples",
    "FittingPair",
    "Mixing",
    "Mixtures",
    "PairExcerpts",
    "Recordings",
    "find_pairs",
    "fit",
]
