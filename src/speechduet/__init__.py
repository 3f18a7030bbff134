"""Speech enhancement by one encoder and two decoders, a generative and a predictive one.

What needs PyTorch is imported when it is first used, so that the command line answers quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechduet import metrics as metrics
    from speechduet import onnx as onnx
    from speechduet.enhancement.enhancer import Enhancer as Enhancer
    from speechduet.enhancement.files import enhance_file as enhance_file
    from speechduet.enhancement.module import EnhancementModule as EnhancementModule

__version__ = "0.1.0"
__all__ = ["EnhancementModule", "Enhancer", "__version__", "enhance_file", "metrics", "onnx"]


def __getattr__(name: str) -> Any:
    if name in ("metrics", "onnx"):
        return import_module(f"speechduet.{name}")
    if name == "Enhancer":
        return import_module("speechduet.enhancement.enhancer").Enhancer
    if name == "enhance_file":
        return import_module("speechduet.enhancement.files").enhance_file
    if name == "EnhancementModule":
        return import_module("speechduet.enhancement.module").EnhancementModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
