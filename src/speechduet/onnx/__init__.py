"""Exported models without PyTorch: ONNX Runtime, NumPy, soxr and soundfile are all that is needed.

`Enhancer` enhances waveforms, `enhance_file` files; ``python -m speechduet.onnx`` is the latter as
a command. A folder for them is made by ``speechduet export --onnx``.
"""

from speechduet.onnx.enhancer import Enhancer, enhance_file

__all__ = ["Enhancer", "enhance_file"]
