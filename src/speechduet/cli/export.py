"""``speechduet export``: a model as a folder that needs no PyTorch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechduet.cli.usage import check_folder
from speechduet.names import shown

if TYPE_CHECKING:
    from speechduet.export.programs import ExportPrecision
else:
    from typing import Literal

    ExportPrecision = Literal["float32", "float16", "int8"]


def export(
    onnx: Annotated[
        Path, typer.Option("--onnx", help="Folder to make, of ONNX files.", show_default=False)
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", help="Bundled name, folder, .ckpt or Hub id. [default: the bundled]"
        ),
    ] = None,
    precision: Annotated[
        ExportPrecision,
        typer.Option(
            "--precision",
            help="float16: weights of half the size, float32 when it runs. int8: products of 8-bit "
            "numbers, for calibrated models.",
        ),
    ] = "float32",
) -> None:
    """Write a model as ONNX files, which run without PyTorch.

    Every network program and the plan of every mode, each compared with PyTorch before anything is
    written, and a README that says how to use them from any language. Then
    `python -m speechduet.onnx DIR noisy.wav -o clean.wav` enhances without PyTorch.
    """
    check_folder(onnx)
    from speechduet.export.folder import export_folder
    from speechduet.model.find import load_any

    exported = export_folder(load_any(model), onnx, precision)
    checked = {**exported.programs, **exported.modes}
    differences = ", ".join(f"{name} {difference:.1e}" for name, difference in checked.items())
    typer.echo(
        shown(
            f"{onnx}: {exported.size / 1e6:.1f} MB in {precision}; "
            f"largest differences from PyTorch: {differences}"
        ),
        err=True,
    )
