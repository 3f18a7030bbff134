"""What a recipe says of data, schedule and run. Each has a default but the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt

from speechduet.errors import SettingError
from speechduet.settings import BatchSize, Count, NotNegative, Seed, Settings, Whole

_MOST_WORKERS = 1024
_MOST_NODES = 100_000
"""More than any machine has use for."""

Decay = Annotated[float, Ge(0), Lt(1)]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class DataSettings(Settings):
    """Training audio: either ``speech`` and ``noise`` to be mixed, or ``pairs``.

    Paths are relative to where the command is started.
    """

    speech: str = ""
    """Folder of clean recordings, mixed on the fly with those of noise."""
    noise: str = ""
    """Folder of noise recordings."""
    rooms: str = ""
    """Folder of room impulse responses, for mixing.reverberation."""
    speech_weights: Mapping[str, NotNegative] = field(default_factory=dict)
    """Patterns of file names, and how often such a file is drawn per second of its audio; 1
    without a pattern."""
    noise_weights: Mapping[str, NotNegative] = field(default_factory=dict)
    """The same for noise."""
    pairs: str = ""
    """Finished pairs: a folder with clean and noisy, or with clean.scp and noisy.scp, a CSV or
    JSONL manifest, or WebDataset shards."""
    valid_clean: str = ""
    """Folder of clean recordings to validate on; empty: no validation."""
    valid_noisy: str = ""
    """Folder of their noisy partners, under the same names."""
    valid_limit: Whole = 0
    """At most this many pairs, evenly picked from all; 0: all."""

    def check(self) -> None:
        """Training has one source, and validation both sides or none."""
        mixed = bool(self.speech and self.noise)
        if mixed == bool(self.pairs) or bool(self.speech) != bool(self.noise):
            raise SettingError(
                f"data has speech {self.speech!r}, noise {self.noise!r} and pairs {self.pairs!r}",
                "either speech and noise, or pairs",
            )
        for name in ("rooms", "speech_weights", "noise_weights"):
            if self.pairs and getattr(self, name):
                raise SettingError(
                    f"{name} is given beside pairs, which are mixed already",
                    "none, or speech and noise in place of pairs",
                )
        if bool(self.valid_clean) != bool(self.valid_noisy):
            raise SettingError(
                f"valid_clean is {self.valid_clean!r} and valid_noisy {self.valid_noisy!r}",
                "both or none",
            )


@dataclass(frozen=True)
class RunSettings(Settings):
    """How long, how often, where, and from what. A step is one change of the weights."""

    max_steps: Count = 100_000
    """Steps of the whole run; the learning rate falls towards its end."""
    max_minutes: NotNegative = 0.0
    """Stop after this many minutes with a checkpoint, to be resumed later; 0: no limit."""
    batch_size: BatchSize = 8
    """Examples that one process takes at once."""
    accumulate: Count = 1
    """Batches whose gradients make one step."""
    workers: Annotated[int, Ge(0), Le(_MOST_WORKERS)] = 1
    """Processes that prepare examples, for each process that trains."""
    seed: Seed = 0
    """Decides the first weights and every example, its time and its noise."""
    ema_decay: Decay = 0.999
    """Of the moving average of the weights that is validated and saved as the model."""
    other_ema_decays: tuple[Decay, ...] = ()
    """Further averages kept beside it, each saved as a model at the end."""
    gradient_clip: NotNegative = 0.0
    """Largest norm of the gradient; 0: no limit."""
    gradient_norms_every_steps: Whole = 0
    """How often both losses' gradient norms at the shared encoder are measured; 0: never."""
    precision: Literal[Precision, "auto"] = "32-true"
    """Of the networks' arithmetic; weights stay in 32 bits. *auto* is the one that a few steps
    show to be the fastest on this machine; a resumed run keeps it."""
    compile: bool = False
    """Compile the networks with torch.compile: slower to start, then faster."""
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: Annotated[int, Ge(1), Le(_MOST_WORKERS)] = 1
    """Processes (and GPUs) per machine; torchrun decides by itself."""
    nodes: Annotated[int, Ge(1), Le(_MOST_NODES)] = 1
    """Machines; torchrun decides by itself."""
    valid_every_steps: Count = 1000
    """How often the validation pairs are enhanced and scored."""
    keep_best: Whole = 3
    """How many of the models best in validation are kept."""
    show_examples: Whole = 0
    """Validation pairs whose audio and spectrograms go to TensorBoard."""
    checkpoint_every_steps: Count = 200
    """How often the state is saved; the one before is kept too."""
    log_every_steps: Count = 50
    """How often losses and speed are written down."""
    start_from: str = ""
    """A model to take the first weights from: a folder, a .ckpt file or a bundled model's name."""

    def check(self) -> None:
        """Each average is one of its own."""
        if len(set(self.ema_decays)) < len(self.ema_decays):
            raise SettingError(
                f"other_ema_decays is {list(self.other_ema_decays)} beside ema_decay "
                f"{self.ema_decay}",
                "each decay once",
            )

    @property
    def ema_decays(self) -> tuple[float, ...]:
        """All decays, the model's own first."""
        return self.ema_decay, *self.other_ema_decays
