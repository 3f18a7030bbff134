"""The weights of a small SGMSE+ as the public code names them."""

from typing import Any

from torch import Tensor

from speechduet.model.upstream.ncsnpp import layer_order
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import System

SIZE = NCSNpp(base_channels=4, multipliers=(1, 2), residual_blocks=1, attention_bins=(128,))


SETTINGS: dict[str, Any] = {"backbone": "ncsnpp", "sde": "ouve", "nf": 4, "num_res_blocks": 1}


def upstream_names(system: System) -> dict[str, Tensor]:
    """The weights of an SGMSE+ under their names in the public code."""
    state = system.state_dict()
    named = {
        f"dnn.output_layer.{kind}": state[f"generative_decoder.output.{kind}"]
        for kind in ("weight", "bias")
    }
    for index, (layer, parts) in enumerate(
        layer_order(SIZE, True, "encoder", "generative_decoder")
    ):
        for part, ours in parts.items():
            for kind in ("weight", "bias", "frequencies"):
                value = state.get(f"{layer}{ours}.{kind}")
                if value is None:
                    continue
                nin = part.startswith("NIN")
                theirs = {"weight": "W" if nin else "weight", "bias": "b" if nin else "bias"}
                leaf = theirs.get(kind, "W")
                name = f"dnn.all_modules.{index}.{part}.{leaf}".replace("..", ".")
                named[name] = value.t().contiguous() if nin and kind == "weight" else value
    return named
