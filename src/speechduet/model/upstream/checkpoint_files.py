"""The published checkpoint files of SGMSE+ by name, and how their authors say to sample with each.

They record how they were trained, but not how to sample. The authors recommend the defaults of
their code unless their README says otherwise, and that it does for dereverberation
(https://github.com/sp-uhh/sgmse#pretrained-checkpoints and issue 62).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from speechduet.sampling import SettingValue


@dataclass(frozen=True)
class CheckpointFile:
    """A published file: of which system, trained on what, and settings other than the defaults."""

    name: str
    system: str
    trained_on: str
    settings: Mapping[str, SettingValue] = field(default_factory=dict)

    @property
    def stated(self) -> str:
        """The settings as text."""
        return ", ".join(f"{name} {value}" for name, value in self.settings.items())


CHECKPOINT_FILES = (
    CheckpointFile("train_vb_29nqe0uh_epoch=115.ckpt", "SGMSE+", "VoiceBank-DEMAND"),
    CheckpointFile("train_wsj0_2cta4cov_epoch=159.ckpt", "SGMSE+", "WSJ0-CHiME3"),
    CheckpointFile(
        "epoch=326-step=408750.ckpt",
        "SGMSE+",
        "WSJ0-REVERB (dereverberation)",
        {"steps": 50, "corrector_snr": 0.33},
    ),
)


def checkpoint_file(name: str, system: str) -> CheckpointFile | None:
    """The published file of this name, if it holds this system.

    Browsers and programs change signs such as "=", so only letters and digits count.
    """
    return next(
        (
            file
            for file in CHECKPOINT_FILES
            if file.system == system and _plain(file.name) == _plain(name)
        ),
        None,
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", unquote(name).lower())
