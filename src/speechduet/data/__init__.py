"""Training data: recordings, and mixtures made of them on the fly."""

from speechduet.data.mixing import Mixing, Mixtures
from speechduet.data.recordings import Recordings

__all__ = ["Mixing", "Mixtures", "Recordings"]
