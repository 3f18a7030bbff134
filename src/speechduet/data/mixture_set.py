"""A fixed set of mixtures: whole recordings of speech in noise at stated ratios."""

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from speechduet.audio.folders import find_recordings
from speechduet.data.degradation import in_room
from speechduet.data.mixing import add_noise
from speechduet.data.mono import Samples, is_heard, without_offset
from speechduet.data.preparation import Task
from speechduet.data.sources import Channel, Made, holding, read
from speechduet.errors import AudioError

_EARLY_S = 0.05
_SHORTEST_S = 0.02


@dataclass(frozen=True)
class MixtureSet:
    """What the set holds; a mixture is a function of its number and of this."""

    snr_db: tuple[float, ...] = (0.0, 5.0, 10.0, 15.0)
    """Ratios, each as frequent as the others."""
    count: int = 0
    """Number of mixtures; 0 for one of each recording of speech."""
    seed: int = 0
    sample_rate: int = 16_000


def tasks(speech: Path, noise: Path, settings: MixtureSet, rooms: Path | None = None) -> list[Task]:
    """The mixtures to make of the recordings below two folders.

    With a folder of room impulse responses all speech is reverberant, and the clean recording
    keeps the early sound of the room. Raises AudioError for a folder without recordings.
    """
    talks, noises = _recordings(speech), _recordings(noise)
    impulses = _recordings(rooms) if rooms else []
    order = np.random.default_rng(settings.seed).permutation(len(talks))
    made = []
    for index in range(settings.count or len(talks)):
        lap, place = divmod(index, len(talks))
        talk = talks[int(order[place])]
        # A recording that is used again is used at another ratio.
        snr_db = settings.snr_db[(place + lap) % len(settings.snr_db)]
        random = np.random.default_rng([settings.seed, index])
        start, which, where = random.random(3)
        disturbance = noises[int(which * len(noises))]
        impulse = impulses[int(where * len(impulses))] if impulses else None
        details = {
            "speech": talk.relative_to(speech).as_posix(),
            "noise": disturbance.relative_to(noise).as_posix(),
            "snr_db": f"{snr_db:g}",
        }
        if rooms and impulse:
            details["room"] = impulse.relative_to(rooms).as_posix()
        make = partial(_mix, talk, disturbance, impulse, snr_db, start, settings.sample_rate)
        made.append(Task(f"{index:05d}_{talk.stem}", make, details=details))
    return made


def _mix(
    talk: Path,
    disturbance: Path,
    impulse: Path | None,
    snr_db: float,
    start: float,
    sample_rate: int,
) -> Made:
    speech, noise = read(talk, sample_rate), _read_again(disturbance, sample_rate)
    clean = reverberant = _sounding(without_offset(speech.samples, sample_rate), talk, sample_rate)
    if impulse:
        early_samples = round(_EARLY_S * sample_rate)
        response = _read_again(impulse, sample_rate).samples
        clean, reverberant = in_room(
            clean, _sounding(response, impulse, sample_rate), early_samples
        )
    stretch = _stretch(noise.samples, start, len(clean))
    hum = _sounding(without_offset(stretch, sample_rate), disturbance, sample_rate)
    noisy = add_noise(reverberant, hum, snr_db, sample_rate)
    # Both are turned down where their sum would not fit into 16 bits.
    scale = np.float32(0.99 / max(0.99, np.abs(noisy).max(), np.abs(clean).max()))
    note = f"clean and noisy are turned down alike by {-20 * np.log10(scale):.2f} dB"
    subtype = holding(speech.subtype, noise.subtype)
    return Made(clean * scale, noisy * scale, subtype, note if scale < 1 else "")


def _stretch(noise: Samples, start: float, length: int) -> Samples:
    """A stretch that begins at a share ``start`` of where it may; short noise is repeated."""
    if len(noise) < length:
        return np.resize(np.roll(noise, -int(start * len(noise))), length)
    first = int(start * (len(noise) - length + 1))
    return noise[first : first + length]


def _sounding(samples: Samples, path: Path, sample_rate: int) -> Samples:
    if len(samples) < _SHORTEST_S * sample_rate or not is_heard(samples):
        raise AudioError(f"{path} is silent or shorter than {_SHORTEST_S} s", "sound to be mixed")
    return samples


@lru_cache(maxsize=8)
def _read_again(path: Path, sample_rate: int) -> Channel:
    return read(path, sample_rate)


def _recordings(folder: Path) -> list[Path]:
    paths = find_recordings(folder)
    if not paths:
        raise AudioError(f"no recording in {folder}", "a folder of recordings")
    return paths
