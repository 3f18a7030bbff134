"""Thin out the full reference vectors to what the tests need: run it as
``python tests/reference/make_reference.py ../shared/reference``."""

import sys
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from speechduet.model.upstream.archive import Archive
from speechduet.model.upstream.released import upstream_weights

HERE = Path(__file__).parent
WHOLE = ("x_t.complex", "y.complex")
SPARSE = ("score", "denoised", "mean", "drift", "corrector", "predictor")


def thin(name: str, value: Tensor) -> Tensor:
    """The first example only; outputs at every 8th bin and frame; noise as far as it is used."""
    if name in WHOLE:
        return value[:1]
    if name in ("t", "std", "diffusion"):
        return value[:1]
    if name == "waveform_noise.complex":
        return value[:4]
    return value[:1, :, ::8, ::8] if name.startswith(SPARSE) and value.ndim == 5 else value


def main(source: Path) -> None:
    """Write both files."""
    for system in ("sgmse_plus", "storm"):
        with Archive(source / f"{system}.ckpt") as archive:
            kept = {f"weights.{k}": v for k, v in upstream_weights(archive).items()}
        for name, value in load_file(source / f"{system}_vectors.safetensors").items():
            dropped = name.startswith("sampler_") or name == "waveform_spectrogram.complex"
            # StoRM's reverse process is SGMSE+'s but for grid and anchor: the noise is left out.
            dropped |= system == "storm" and name in ("waveform_noise.complex", "waveform_enhanced")
            if not dropped:
                kept[name] = thin(name, value).clone()
        save_file(kept, HERE / f"{system}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
