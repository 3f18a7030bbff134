"""How the public SGMSE+ and StoRM code numbers the layers of NCSN++, and what they are here.

There, all layers stand in one list ``all_modules`` in the order in which they are evaluated.
"""

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

from speechduet.errors import ModelError
from speechduet.network.ncsnpp import NCSNpp

PLAIN = {"": ""}
RESIDUAL = {
    "GroupNorm_0": ".norm_in",
    "Conv_0": ".convolution_in",
    "Dense_0": ".time",
    "GroupNorm_1": ".norm_out",
    "Conv_1": ".convolution_out",
    "Conv_2": ".shortcut",
}
ATTENTION = {
    "GroupNorm_0": ".norm",
    "NIN_0": ".query",
    "NIN_1": ".key",
    "NIN_2": ".value",
    "NIN_3": ".output",
}
PYRAMID = {"Conv_0": ""}


def dimensions(weights: Mapping[str, Tensor], bins: int, centred: bool) -> NCSNpp:
    """Read the dimensions of an NCSN++ off the shapes of its weights."""
    kinds = _kinds(weights)
    down, _, _ = kinds.lstrip("FL").removeprefix("V").partition("N")
    segments = down.split("P")
    # The last segment goes on into the bottleneck and the way up, which tell nothing more.
    start = len(kinds) - len(kinds.lstrip("FL"))
    base = _shape(weights, f"all_modules.{start}.weight")[0]
    blocks = segments[0].count("R") - 1
    multipliers, attention, index = [], [], start + 1
    for level, segment in enumerate(segments):
        multipliers.append(_shape(weights, f"all_modules.{index}.Conv_0.weight")[0] // base)
        if segment[1:2] == "A":
            attention.append(bins >> level)
        index += len(segment) + 1
    return NCSNpp(
        base_channels=base,
        multipliers=tuple(multipliers),
        residual_blocks=blocks,
        attention_bins=tuple(attention),
        bins=bins,
        centred=centred,
    )


def rename(
    weights: Mapping[str, Tensor], size: NCSNpp, timed: bool, encoder: str, decoder: str
) -> dict[str, Tensor]:
    """The weights under the names they have here, below the two prefixes."""
    order = list(layer_order(size, timed, encoder, decoder))
    renamed = {}
    for name, tensor in weights.items():
        if name in ("output_layer.weight", "output_layer.bias"):
            renamed[name.replace("output_layer", f"{decoder}.output")] = tensor
            continue
        index, part, kind = _split(name)
        if index >= len(order):
            raise ModelError(f"unknown weights {name}", f"{len(order)} layers")
        layer, parts = order[index]
        if part not in parts:
            raise ModelError(f"unknown weights {name}", f"the parts of {layer}")
        if kind == "W" and part and tensor.ndim == 2:
            tensor, kind = tensor.t(), "weight"
        names = {"W": "frequencies", "b": "bias"}
        if layer:
            renamed[f"{layer}{parts[part]}.{names.get(kind, kind)}"] = tensor
    return renamed


def layer_order(
    size: NCSNpp, timed: bool, encoder: str, decoder: str
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """What each layer of the list is here, and what its parts are."""
    # A network without time keeps its Fourier features there, unused: no name, not kept.
    yield (f"{encoder}.embedding" if timed else ""), PLAIN
    if timed:
        yield f"{encoder}.embedding.inner", PLAIN
        yield f"{encoder}.embedding.outer", PLAIN
    yield f"{encoder}.input", PLAIN
    levels = len(size.multipliers)
    for level in range(levels):
        here = f"{encoder}.levels.{level}"
        for block in range(size.residual_blocks):
            yield f"{here}.blocks.{block}", RESIDUAL
            if size.attends(level):
                yield f"{here}.attentions.{block}", ATTENTION
        if level < levels - 1:
            yield f"{here}.down", RESIDUAL
            yield f"{here}.from_pyramid", PYRAMID
    yield f"{encoder}.bottleneck_in", RESIDUAL
    yield f"{encoder}.attention", ATTENTION
    yield f"{encoder}.bottleneck_out", RESIDUAL
    for position, level in enumerate(reversed(range(levels))):
        here = f"{decoder}.levels.{position}"
        for block in range(size.residual_blocks + 1):
            yield f"{here}.blocks.{block}", RESIDUAL
        if size.attends(level):
            yield f"{here}.attention", ATTENTION
        yield f"{here}.norm", PLAIN
        yield f"{here}.to_pyramid", PLAIN
        if level:
            yield f"{here}.up", RESIDUAL


def _kinds(weights: Mapping[str, Tensor]) -> str:
    """A letter per layer: Fourier, Linear, conVolution, Residual, Attention, Pyramid, Norm."""
    letters: dict[int, str] = {}
    for name, tensor in weights.items():
        if not name.startswith("all_modules."):
            continue
        index, part, kind = _split(name)
        if kind == "W" and not part:
            letters[index] = "F"
        elif kind == "weight" and not part:
            letters[index] = {1: "N", 2: "L", 4: "V"}.get(tensor.ndim, "?")
        elif part.startswith("NIN"):
            letters[index] = "A"
        elif part == "Conv_0":
            letters.setdefault(index, "P")
        elif part == "Conv_1":
            letters[index] = "R"
    kinds = "".join(letter for _, letter in sorted(letters.items()))
    if not re.fullmatch(r"F(LL)?V(R|A|P)+(N|V|R|A)+", kinds) or "RAR" not in kinds:
        raise ModelError("these are not the weights of an NCSN++", "backbone 'ncsnpp'")
    return kinds


def _split(name: str) -> tuple[int, str, str]:
    found = re.fullmatch(r"all_modules\.(\d{1,6})\.(?:(\w+)\.)?(\w+)", name)
    if found is None:
        raise ModelError(f"unknown weights {name}", "the layers of an NCSN++")
    return int(found[1]), found[2] or "", found[3]


def _shape(weights: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    if name not in weights:
        raise ModelError(f"the weights lack {name}", "a complete NCSN++")
    shape = tuple(weights[name].shape)
    if min(shape, default=0) < 1:
        raise ModelError(f"{name} has no numbers", "the weights of an NCSN++")
    return shape
