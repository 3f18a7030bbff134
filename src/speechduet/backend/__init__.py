"""What evaluates the networks: PyTorch in one of several ways, or another runtime."""

from typing import Literal

BackendName = Literal[
    "auto", "pytorch", "winograd", "compile", "cuda-graphs", "onnxruntime", "openvino"
]
BackendPrecision = Literal["auto", "float32", "bfloat16", "int8"]
