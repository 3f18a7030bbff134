"""Model folders: ``config.json`` + ``model.safetensors`` + ``README.md``. Nothing in one is run.

A model that was calibrated for 8-bit numbers has ``activation_ranges.json`` too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from speechduet.audio.folders import is_folder
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
_MOST_JSON_BYTES = 1 << 20
_WEIGHT_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


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
    if not is_folder(path):
        raise ModelError(f"{path} is no folder", f"a model folder with {CONFIG} and {WEIGHTS}")
    try:
        missing = [name for name in (CONFIG, WEIGHTS) if not (path / name).is_file()]
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
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
        values = read_json(path / CONFIG)
    except (ValueError, OSError) as error:
        raise ModelError(
            f"{path / CONFIG} is damaged ({error})", "a JSON file", "copy it again"
        ) from None
    try:
        config = Config.from_json(values)
        outline = config.build("meta")
    except SettingError as error:
        raise ModelError(f"{path / CONFIG}: {error}") from None
    try:
        # Before there is memory for either.
        check_shapes(outline, _shapes_in(path / WEIGHTS), str(path / WEIGHTS))
        weights = load_file(path / WEIGHTS)
    except (SafetensorError, OSError, RuntimeError) as error:  # the last: no room to map it
        raise ModelError(
            f"{path / WEIGHTS} is damaged ({error})", "a safetensors file", "copy it again"
        ) from None
    system = config.build()
    fill(system, weights, str(path / WEIGHTS))
    if (path / RANGES).is_file():
        system = system.calibrated(_read_ranges(path / RANGES, system))
    return Pretrained(config.name, system, config.spectrogram, config.modes, config.metadata)


def read_json(path: Path) -> Any:
    """The values of a JSON file of up to 1 MiB, which says a lot of a model.

    ValueError for what is none, OSError for what cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_MOST_JSON_BYTES + 1)
    if len(data) > _MOST_JSON_BYTES:
        raise ValueError(f"it has more than {_MOST_JSON_BYTES:,} bytes")
    try:
        return json.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("values within values without end") from None


def _shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights in a file, by name."""
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
    if header_bytes > _MOST_JSON_BYTES:
        raise OSError(f"a header of {header_bytes:,} bytes")
    with safe_open(path, "pt") as weights:
        names = weights.keys()
        return {name: tuple(weights.get_slice(name).get_shape()) for name in names}


def _ranges_text(ranges: Mapping[str, ActivationRange]) -> str:
    """A line per layer: least and greatest input, least and greatest output."""
    rows = (
        f"{json.dumps(name)}: {json.dumps([float(f'{edge:.4g}') for edge in edges])}"
        for name, edges in ranges.items()
    )
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _read_ranges(path: Path, system: System) -> dict[str, ActivationRange]:
    try:
        found = read_json(path)
        layers = {name for name, _ in system.named_modules()}
        ranges: dict[str, ActivationRange] = {}
        for name, edges in found.items():
            least, greatest, least_out, greatest_out = map(float, edges)
            read = -inf < least <= 0 <= greatest < inf
            made = -inf < least_out <= 0 <= greatest_out < inf
            if not (name in layers and read and made):
                raise ValueError(f"{name}: {edges}")
            ranges[name] = (least, greatest, least_out, greatest_out)
    except (ValueError, TypeError, ArithmeticError, AttributeError, OSError) as error:
        raise ModelError(
            f"{path} is damaged ({error})", "the model's own file", "copy the whole folder again"
        ) from None
    return ranges


def check_shapes(system: System, shapes: Mapping[str, Sequence[int]], source: str) -> None:
    """Raise ModelError unless weights of these names and shapes are all that a system has."""
    state = system.state_dict()
    for found, expected, problem in ((shapes, state, "unknown"), (state, shapes, "lacks")):
        for name in found:
            if name not in expected:
                raise ModelError(f"{source} does not fit its configuration ({problem} {name})")
    for name, shape in shapes.items():
        if [*shape] != [*state[name].shape]:
            raise ModelError(
                f"{source} does not fit its configuration: {name} is {[*shape]}",
                f"{[*state[name].shape]}",
            )


def fill(system: System, weights: Mapping[str, Tensor], source: str) -> None:
    """Put all of a system's weights in place and make it ready for use."""
    check_shapes(system, {name: tensor.shape for name, tensor in weights.items()}, source)
    for name, tensor in weights.items():
        if tensor.dtype not in _WEIGHT_TYPES:
            raise ModelError(
                f"{source} holds weights of {tensor.dtype} ({name})",
                ", ".join(map(str, _WEIGHT_TYPES)),
            )
        # As they will be used: float64 goes beyond what float32 holds.
        if not tensor.float().isfinite().all():
            raise ModelError(f"{source} holds weights that are no numbers ({name})", "finite ones")
    system.load_state_dict(dict(weights))
    system.float()  # built in another type if the program has another default
    system.eval().requires_grad_(False)
