"""Model folders: ``config.json`` + ``model.safetensors`` + ``README.md``. Nothing in one is run.

A model that was calibrated for 8-bit numbers has ``activation_ranges.json`` too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from speechduet.errors import FileError, ModelError, SettingError
from speechduet.files.atomic import write_bytes
from speechduet.model.card import model_card
from speechduet.model.config import Config
from speechduet.network.system import ActivationRange, System
from speechduet.sampler import Sampling
from speechduet.settings import read
from speechduet.spectrogram import Spectrogram

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
RANGES = "activation_ranges.json"


@dataclass(frozen=True)
class Pretrained:
    """A trained system with all that is needed to use it.

    ``modes`` maps *fast*, *balanced* and *best* to settings, as far as the system can do them;
    ``metadata`` is a training summary, scores and licence, as plain JSON values.
    """

    name: str
    system: System
    spectrogram: Spectrogram
    modes: Mapping[str, Sampling]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def save(
    pretrained: Pretrained,
    folder: str | Path,
    dtype: torch.dtype = torch.float32,
    address: str = "",
) -> None:
    """Write a model folder; each of its files appears whole or not at all.

    ``dtype`` float16 halves the parameters' size; fixed tensors stay as they are. ``address`` is
    where its card says the model can be had, if not in the folder alone: a name on the Hub.
    """
    if dtype not in (torch.float32, torch.float16):
        raise ModelError(f"weights as {dtype}", "torch.float32 or torch.float16")
    system = pretrained.system
    config = describe(pretrained)
    trained = {name for name, _ in system.named_parameters()}
    weights = {}
    for name, tensor in system.state_dict().items():
        kept = tensor.to(dtype) if name in trained else tensor
        if not kept.isfinite().all():
            raise ModelError(f"weights {name} are not finite as {dtype}", "finite numbers")
        weights[name] = kept.cpu().contiguous()
    text = json.dumps(config.to_json(), indent=2, ensure_ascii=False) + "\n"
    card = model_card(config, sum(p.numel() for p in system.parameters()), address)
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        # The config comes last: a folder without one is not yet a model.
        write_bytes(path / WEIGHTS, to_bytes(weights, {"format": "pt"}))
        write_bytes(path / CARD, card.encode())
        # Ranges of other weights must not stay behind.
        (path / RANGES).unlink(missing_ok=True)
        if system.activation_ranges:
            write_bytes(path / RANGES, _ranges_text(system.activation_ranges).encode())
        write_bytes(path / CONFIG, text.encode())
    except (OSError, FileError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"cannot write {path} ({reason})", "a writable folder") from None


def describe(pretrained: Pretrained) -> Config:
    """What a model's config says; ModelError for what has no place in one."""
    system = pretrained.system
    try:
        return read(
            Config,
            {
                "name": pretrained.name,
                "system": {"layout": system.layout},
                "network": system.backbone,
                "predictive_network": system.predictive_backbone,
                "process": system.process,
                "spectrogram": pretrained.spectrogram,
                "modes": pretrained.modes,
                "metadata": pretrained.metadata,
            },
        )
    except SettingError as error:
        raise ModelError(f"model {pretrained.name}: {error}") from None


def load(folder: str | Path) -> Pretrained:
    """Read a model folder: float32 weights, evaluation mode, no gradients."""
    path = Path(folder)
    if not path.is_dir():
        raise ModelError(f"{path} is no folder", f"a model folder with {CONFIG} and {WEIGHTS}")
    missing = [name for name in (CONFIG, WEIGHTS) if not (path / name).is_file()]
    if len(missing) == 2:
        raise ModelError(
            f"{path} is no model: it has neither {CONFIG} nor {WEIGHTS}",
            "a folder with both",
        )
    for name in missing:
        raise ModelError(
            f"{path} is incomplete: it has no {name}", remedy="copy the whole folder again"
        )
    try:
        values = json.loads((path / CONFIG).read_text(encoding="utf-8-sig"))
    except (ValueError, OSError, RecursionError) as error:
        raise ModelError(
            f"{path / CONFIG} is damaged ({error})", "a JSON file", "copy it again"
        ) from None
    try:
        config = Config.from_json(values)
        system = config.build()
    except SettingError as error:
        raise ModelError(f"{path / CONFIG}: {error}") from None
    try:
        weights = load_file(path / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path / WEIGHTS} is damaged ({error})", "a safetensors file", "copy it again"
        ) from None
    fill(system, weights, str(path / WEIGHTS))
    if (path / RANGES).is_file():
        system = system.calibrated(_read_ranges(path / RANGES, system))
    return Pretrained(config.name, system, config.spectrogram, config.modes, config.metadata)


def _ranges_text(ranges: Mapping[str, ActivationRange]) -> str:
    """A line per layer: least and greatest input, least and greatest output."""
    rows = (
        f"{json.dumps(name)}: {json.dumps([float(f'{edge:.4g}') for edge in edges])}"
        for name, edges in ranges.items()
    )
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _read_ranges(path: Path, system: System) -> dict[str, ActivationRange]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        layers = {name for name, _ in system.named_modules()}
        ranges: dict[str, ActivationRange] = {}
        for name, edges in found.items():
            least, greatest, least_out, greatest_out = map(float, edges)
            read = -inf < least <= 0 <= greatest < inf
            made = -inf < least_out <= 0 <= greatest_out < inf
            if not (name in layers and read and made):
                raise ValueError(f"{name}: {edges}")
            ranges[name] = (least, greatest, least_out, greatest_out)
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ModelError(
            f"{path} is damaged ({error})", "the model's own file", "copy the whole folder again"
        ) from None
    return ranges


def fill(system: System, weights: Mapping[str, Tensor], source: str) -> None:
    """Put all of a system's weights in place and make it ready for use."""
    state = system.state_dict()
    for found, expected, problem in ((weights, state, "unknown"), (state, weights, "lacks")):
        for name in found:
            if name not in expected:
                raise ModelError(f"{source} does not fit its configuration ({problem} {name})")
    for name, tensor in weights.items():
        if tensor.shape != state[name].shape:
            raise ModelError(
                f"{source} does not fit its configuration: {name} is {[*tensor.shape]}",
                f"{[*state[name].shape]}",
            )
        if not tensor.isfinite().all():
            raise ModelError(f"{source} holds weights that are no numbers ({name})", "finite ones")
    system.load_state_dict(dict(weights))
    system.float()  # built in another type if the program has another default
    system.eval().requires_grad_(False)
