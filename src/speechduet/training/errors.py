"""What can go wrong while a system is being trained."""

from speechduet.errors import SpeechduetError


class TrainingError(SpeechduetError):
    """A run that cannot go on; its last good checkpoint is kept."""
