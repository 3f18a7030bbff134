import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.data.rooms import simulate
from speechduet.errors import SettingError

RATE = 16_000


def test_without_the_library_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(SettingError, match=r"pip install 'speechduet\[rooms\]'"):
        simulate(tmp_path, 1, 0, RATE)


def test_rooms_decay_and_repeat(tmp_path: Path) -> None:
    pytest.importorskip("pyroomacoustics")
    for folder, count in (("one", 2), ("same", 3)):
        simulate(tmp_path / folder, count, 5, RATE)
    for path in sorted((tmp_path / "one").iterdir()):
        impulse = soundfile.read(path)[0]
        assert np.array_equal(impulse, soundfile.read(tmp_path / "same" / path.name)[0])
        direct = int(np.argmax(np.abs(impulse)))
        assert direct < 0.05 * RATE
        energy = np.cumsum(impulse[::-1] ** 2)[::-1]
        assert energy[min(direct + RATE, len(impulse) - 1)] < 1e-4 * energy[0]
