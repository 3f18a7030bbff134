"""``config.json`` of a model folder: a system, described by checked records."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from threading import get_ident
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from speechduet.errors import SettingError
from speechduet.network.backbone import Backbone
from speechduet.network.compact import Compact
from speechduet.network.dual_path import DualPath
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import System
from speechduet.process import FlowMatching, OrnsteinUhlenbeck, Process, SchroedingerBridge
from speechduet.sampler import Sampling
from speechduet.sampling import MODES
from speechduet.settings import Settings, check_names, read
from speechduet.spectrogram import Spectrogram

FORMAT = 1

MOST_PARAMETERS = 500_000_000
"""Several times as many as any published system of this kind has."""

# Another kind is one more of these classes; each has its name as the field ``kind``.

AnyNetwork = Annotated[NCSNpp | Compact | DualPath, Field(discriminator="kind")]
AnyProcess = Annotated[
    OrnsteinUhlenbeck | SchroedingerBridge | FlowMatching, Field(discriminator="kind")
]


@dataclass(frozen=True)
class Parts(Settings):
    """The section ``system``."""

    layout: Layout


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """All that a model folder says of its model, but for the weights."""

    name: str
    system: Parts
    network: AnyNetwork
    predictive_network: AnyNetwork | None = None
    process: AnyProcess | None = None
    spectrogram: Spectrogram
    modes: Mapping[str, Sampling]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """The parts fit each other, and the system can do its modes."""
        if not self.name.isprintable() or len(self.name) > 200:
            raise SettingError(f"name is {self.name!r}", "200 printable characters at most")
        check_names(self.modes, MODES, "modes")
        self.layout.check_process(self.process)
        for name, network in (
            ("network", self.network),
            ("predictive_network", self.predictive_network),
        ):
            if network is not None and network.bins != self.spectrogram.bins:
                raise SettingError(
                    f"{name}.bins is {network.bins}",
                    f"{self.spectrogram.bins}, as spectrogram.n_fft is {self.spectrogram.n_fft}",
                )
        for mode, sampling in self.modes.items():
            try:
                self.layout.check_sampling(sampling)
            except SettingError as error:
                raise SettingError(f"modes.{mode}: {error}") from None
        try:
            json.dumps(self.metadata, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise SettingError(f"metadata has no JSON ({error})", "plain values") from None

    @property
    def layout(self) -> Layout:
        """Which parts the system has."""
        return self.system.layout

    def build(self, device: str = "cpu") -> System:
        """The system with random weights; the global random state stays as it was.

        On the device ``meta`` it has the shapes of its weights alone, and takes no memory for them.
        SettingError if it is too large, or if its sizes do not fit each other.
        """
        parts = (self.layout, self.process, self.network, self.predictive_network)
        return build(*parts, device=device)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, values: Any) -> "Config":
        """Check plain JSON values and build the record; a `SettingError` says what is wrong."""
        if not isinstance(values, Mapping):
            raise SettingError(f"config is {values!r}", "an object with named values")
        rest = dict(values)
        found = rest.pop("format", None)
        if found != FORMAT or isinstance(found, bool):
            raise SettingError(f"model format {found!r}", str(FORMAT), "update speechduet")
        return read(cls, rest)


def build(
    layout: Layout,
    process: Process | None,
    network: Backbone,
    predictive_network: Backbone | None = None,
    *,
    device: str = "cpu",
) -> System:
    """As `Config.build`, of parts that no config describes yet."""
    with torch.random.fork_rng(devices=[]), torch.device(device), _of_bounded_size():
        return System(layout, process, network, predictive_network)


@contextmanager
def _of_bounded_size() -> Iterator[None]:
    """SettingError as soon as networks that are made in here have too many parameters.

    They are counted when they are registered, which is before memory is taken for them: it is when
    they get their first values.
    """
    thread, count = get_ident(), 0

    def add(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        # Other threads may be making other networks.
        if parameter is not None and get_ident() == thread:
            count += parameter.numel()
            if count > MOST_PARAMETERS:
                raise SettingError(
                    "the networks have too many parameters",
                    f"{MOST_PARAMETERS:,} at most",
                    "lower the sizes in network",
                )

    hook = register_module_parameter_registration_hook(add)
    try:
        yield
    except SettingError:
        raise
    except (RuntimeError, ValueError) as error:
        # A single tensor beyond all memory, or channels that cannot be normalised in groups.
        reason = " ".join(str(error).split())[:200]
        raise SettingError(
            f"the networks cannot be built ({reason})", "other sizes in network"
        ) from None
    finally:
        hook.remove()
