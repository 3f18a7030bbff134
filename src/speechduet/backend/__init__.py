"""What evaluates the networks: PyTorch as it is, compiled or in CUDA graphs, or another runtime."""

from typing import Literal

BackendName = Literal["auto", "pytorch", "compile", "cuda-graphs", "onnxruntime", "openvino"]
Precision = Literal["auto", "float32", "bfloat16", "int8"]
