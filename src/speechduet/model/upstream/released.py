"""Checkpoints of the public SGMSE+ and StoRM code, read without that code and without running any.

Dimensions come from the shapes of the weights, which say more than the recorded settings do;
recorded settings that change what the network or the process means are checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from reprlib import repr
from typing import Any

import torch
from torch import Tensor

from speechduet.errors import ModelError, SettingError
from speechduet.model.config import MOST_PARAMETERS, build
from speechduet.model.folder import Pretrained, check_shapes, fill, save
from speechduet.model.upstream.archive import Archive
from speechduet.model.upstream.checkpoint_files import checkpoint_file
from speechduet.model.upstream.ncsnpp import dimensions, rename
from speechduet.model.upstream.stored import StoredTensor
from speechduet.network.ncsnpp import NCSNpp
from speechduet.process import OrnsteinUhlenbeck
from speechduet.recipe import Recipe, system_named
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

_LARGEST = 1e9
"""Of recorded numbers: the settings that they become have narrower bounds."""


@dataclass(frozen=True)
class Kind:
    """One of the systems that the public code trains, and what it calls their networks."""

    name: str
    recipe: Recipe
    score: str | None
    predictive: str | None

    def modes(self, settings: Mapping[str, Any]) -> Mapping[str, Sampling]:
        """Those of the recipe; where there is a process, *best* is as published.

        ``settings`` take the place of some, where there are reverse steps.
        """
        best = {"best": self.recipe.sampling} if self.recipe.process else {}
        modes = {**self.recipe.modes, **best}
        return {name: replace(s, **settings) if s.steps else s for name, s in modes.items()}


SGMSE_PLUS = Kind("SGMSE+", system_named("sgmse_plus"), "dnn", None)
STORM = Kind("StoRM", system_named("storm"), "score_net", "denoiser_net")
PREDICTIVE = Kind("predictive NCSN++", system_named("predictive"), None, "dnn")

MEANINGS: Mapping[str, tuple[Any, ...]] = {
    "backbone": ("ncsnpp",),
    "backbone_score": ("ncsnpp",),
    "backbone_denoiser": ("ncsnpp",),
    "sde": ("ouve",),
    "condition": ("both",),
    "transform_type": ("exponent",),
    "window": ("hann",),
    "return_time": (False,),
    "spatial_channels": (1,),
}
"""Recorded settings, and the only values that are understood here."""


def load(path: str | Path) -> Pretrained:
    """Read a checkpoint of SGMSE+, of StoRM, or of StoRM's predictive baseline.

    Averaged (EMA) weights are taken where there are any, as the public code enhances with them.
    """
    file = Path(path)
    with Archive(file) as archive:
        try:
            return _pretrained(file, archive, _section(archive, "hyper_parameters"))
        except (ModelError, SettingError) as error:
            raise ModelError(f"{file}: {error}") from None


def convert(path: str | Path, folder: str | Path) -> Pretrained:
    """Write the model of a checkpoint as a model folder; returns it."""
    pretrained = load(path)
    save(pretrained, folder)
    return pretrained


def upstream_weights(archive: Archive) -> dict[str, Tensor]:
    """Weights by the names that the public code gives them, averaged (EMA) if there are such."""
    return {name: archive.tensor(one).float() for name, one in _stored_weights(archive).items()}


def _stored_weights(archive: Archive) -> dict[str, StoredTensor]:
    state = _section(archive, "state_dict")
    ema = archive.content.get("ema")
    chosen = dict(state)
    averages = ema.get("shadow_params") if isinstance(ema, dict) else None
    if averages:
        if not isinstance(averages, list | tuple):
            raise ModelError("averaged (EMA) parameters that are no list", "a list of tensors")
        # torch_ema lists parameters in order, without names; before 0.3 without the fixed ones.
        names = list(state)
        if len(averages) < len(names):
            names = [name for name in names if not str(name).endswith("all_modules.0.W")]
        if len(averages) != len(names):
            raise ModelError(f"{len(averages)} averaged (EMA) parameters", f"{len(state)}")
        chosen.update(zip(names, averages, strict=True))
    for name, stored in chosen.items():
        if not isinstance(name, str) or not isinstance(stored, StoredTensor):
            raise ModelError(f"weights {repr(name)} are no tensor", "a tensor")
        if stored.size != getattr(state[name], "size", None):
            raise ModelError(f"the averaged (EMA) {name} differs in shape from {name}")
        if prod(stored.size) > MOST_PARAMETERS:
            raise ModelError(f"{name} is {[*stored.size]}", f"{MOST_PARAMETERS:,} numbers at most")
    return chosen


def _section(archive: Archive, name: str) -> dict[Any, Any]:
    section = archive.content.get(name) if isinstance(archive.content, dict) else None
    if not isinstance(section, dict):
        raise ModelError(f"it has no {name!r}", "a checkpoint of SGMSE+ or StoRM")
    return section


def _pretrained(file: Path, archive: Archive, recorded: dict[Any, Any]) -> Pretrained:
    # What is known of the weights without memory for them.
    weights = {
        name: torch.empty(stored.size, device="meta")
        for name, stored in _stored_weights(archive).items()
    }
    kind = _kind(weights)
    for name, understood in MEANINGS.items():
        if recorded.get(name, understood[0]) not in understood:
            raise ModelError(
                f"{name} is {repr(recorded[name])}", " or ".join(map(repr, understood))
            )
    usual = kind.recipe.spectrogram
    spectrogram = Spectrogram(
        sample_rate=_number(recorded, "sr", usual.sample_rate),
        n_fft=_number(recorded, "n_fft", usual.n_fft),
        hop=_number(recorded, "hop_length", usual.hop),
        exponent=_number(recorded, "spec_abs_exponent", usual.exponent),
        factor=_number(recorded, "spec_factor", usual.factor),
        published=True,
    )
    # Only StoRM's code records spatial_channels; its networks take 2 x - 1 by default.
    centred = bool(recorded.get("centered", "spatial_channels" not in recorded))
    score, predictive = _part(weights, kind.score), _part(weights, kind.predictive)
    sizes = [dimensions(part, spectrogram.bins, centred) for part in (score, predictive) if part]
    for size in sizes:
        _compare(size, recorded)
    process = kind.recipe.process
    if isinstance(process, OrnsteinUhlenbeck):
        process = OrnsteinUhlenbeck(
            theta=_number(recorded, "theta", process.theta),
            sigma_min=_number(recorded, "sigma_min", process.sigma_min),
            sigma_max=_number(recorded, "sigma_max", process.sigma_max),
            t_min=_number(recorded, "t_eps", process.t_min),
        )
    source = f"a {kind.name} of these dimensions"
    outline = build(kind.recipe.layout, process, *sizes, device="meta")
    check_shapes(outline, {n: w.shape for n, w in _named(kind, weights, sizes).items()}, source)
    system = build(kind.recipe.layout, process, *sizes)
    fill(system, _named(kind, upstream_weights(archive), sizes), source)
    metadata = {"licence": "other", "source": f"{kind.name} checkpoint {file.name}, converted"}
    settings: Mapping[str, Any] = {}
    if (known := checkpoint_file(file.name, kind.name)) is not None:
        settings = known.settings
        stated = f"{known.stated}, filled in" if known.stated else "the defaults"
        metadata["published_file"] = (
            f"{known.name}, trained on {known.trained_on}; by its name, sampling with {stated}"
        )
    return Pretrained(file.stem, system, spectrogram, kind.modes(settings), metadata)


def _named(kind: Kind, weights: Mapping[str, Tensor], sizes: Sequence[NCSNpp]) -> dict[str, Tensor]:
    """The weights by the names that they have here."""
    named: dict[str, Tensor] = {}
    if score := _part(weights, kind.score):
        named |= rename(score, sizes[0], True, "encoder", "generative_decoder")
    if predictive := _part(weights, kind.predictive):
        network = "predictive_network"
        named |= rename(predictive, sizes[-1], False, f"{network}.encoder", f"{network}.decoder")
    return named


def _kind(weights: Mapping[str, Tensor]) -> Kind:
    networks = {name.partition(".")[0] for name in weights}
    if networks == {"score_net", "denoiser_net"}:
        return STORM
    output = weights.get("dnn.output_layer.weight")
    if networks == {"dnn"} and output is not None and output.ndim > 1:
        # Input channels: real and imaginary part of y alone, or of x_t and y.
        return PREDICTIVE if output.shape[1] == 2 else SGMSE_PLUS
    raise ModelError(
        f"networks {', '.join(sorted(networks)) or 'none'}",
        "'dnn' of SGMSE+, or 'score_net' and 'denoiser_net' of StoRM",
    )


def _part(weights: Mapping[str, Tensor], network: str | None) -> dict[str, Tensor]:
    start = f"{network}."
    return {
        name.removeprefix(start): tensor
        for name, tensor in weights.items()
        if name.startswith(start)
    }


def _compare(size: NCSNpp, recorded: Mapping[Any, Any]) -> None:
    for name, found in (
        ("nf", size.base_channels),
        ("ch_mult", size.multipliers),
        ("num_res_blocks", size.residual_blocks),
    ):
        stated = recorded.get(name, found)
        if (tuple(stated) if isinstance(stated, list) else stated) != found:
            raise ModelError(f"recorded {name} is {repr(stated)}, but the weights' is {found}")


def _number(recorded: Mapping[Any, Any], name: str, default: Any) -> Any:
    """A recorded number of the default's type."""
    value = recorded.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LARGEST:
        raise ModelError(f"{name} is {repr(value)}", "a number above 0")
    return type(default)(value)
