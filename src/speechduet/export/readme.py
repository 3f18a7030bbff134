"""The ``README.md`` of an exported folder: how to use it from any language."""

from collections.abc import Mapping

from speechduet.onnx.description import Description

TEXT = """# {name}, as ONNX ({precision})

Speech enhancement, exported by {written_by}. Licence of the model: {licence}.

| file | what it is |
|---|---|
| `speechduet.json` | sample rate, spectrogram, programs, and the plan of each mode |
{programs}
| `golden/program_*.npz` | inputs and outputs of each program in PyTorch |
| `golden/mode_*.npz` | a short waveform through each mode in PyTorch, with all that is between |

## In Python, without PyTorch

```console
pip install PATH_TO_A_CLONE_OF_SPEECHDUET/packaging/onnx
python -m speechduet.onnx PATH_TO_THIS_FOLDER noisy.wav -o clean.wav
```

```python
import speechduet.onnx
enhancer = speechduet.onnx.Enhancer("PATH_TO_THIS_FOLDER")
out = enhancer(waveform, sample_rate, mode="{mode}", seed=0)  # [samples] or [channels, samples]
```

## In another language

The steps for one channel, in the names of `speechduet.json`. The Python package's folder
`speechduet/onnx` does the same in about 300 lines of NumPy.

1. Resample to {sample_rate} Hz.{offset} Divide by the largest
   magnitude, and multiply the result by it at the end; leave silence alone. Cut a long recording
   into overlapping segments, if need be, and fade one into the next.
2. For each of the mode's `offsets`: put that many zeros before the waveform.{covering}
3. Transform: frames of `n_fft` = {n_fft} samples, `hop` = {hop}, centred (`n_fft // 2` samples
   before and behind, mirrored without repeating the edge; zeros where the waveform is not longer
   than that), periodic Hann window, real FFT without scaling: {bins} bins. Each coefficient S
   becomes `factor * |S|^exponent * exp(i arg S)`, here `{factor} * |S|^{exponent}`. Add frames
   of zeros until their number is divisible by {frame_multiple}. That is the value `y`.
4. Carry out the `steps` of the mode in order. Values are complex spectrograms with names.
   - `{{"make": "x0", "of": {{"y": 1.0, "z0": 0.39}}}}`: x0 = 1.0 y + 0.39 z0. A `z` with a number
     is a random draw: complex normal numbers whose real and imaginary parts have variance 1/2
     each, the same wherever that name is used.
   - `{{"run": "generative", "inputs": ["x0", "y"], "t": 0.3, "make": ["generative1"]}}`: run
     `generative.onnx`. Its input `spectrograms`, `[batch, 2 n, {bins}, frames]`, holds the real
     and the imaginary part of each of the n inputs in turn; its input `t`, `[batch]`, the time
     (there is none where `t` is null). Each output, `[batch, 2, {bins}, frames]`, is a value again.
5. Take the value `result`, undo the compression (magnitude `(|S| / factor)^(1 / exponent)`) and
   transform back: inverse FFT, window, overlap-add, divide by the sum of the squared windows, drop
   `n_fft // 2` samples at the beginning. Drop the zeros of the offset; the enhanced waveform is
   the mean over the offsets.

Numbers of examples and frames are free. The ONNX files say the same in their metadata (`name`,
`licence`, `format`, `program`, `precision`, `frame_multiple`, `spectrogram`).

## Check yours

`golden/program_NAME.npz` has the inputs and outputs of a program by their names.
`golden/mode_NAME.npz` has `noisy` (`[samples]`, peak 1), its `spectrogram` before frames of zeros
were added (offset 0), the draws `z` (`[draws, bins, frames]`), the value `result` (offset 0), and
`enhanced` (the mean over the offsets). Measured with ONNX Runtime; up to {tolerance:g} was let
through:

| | largest difference from PyTorch{with_rounding} |
|---|---|
{differences}

Programs: of the largest magnitude of an output. Modes: of full scale.
"""

_MEANINGS: Mapping[str, str] = {
    "generative": "encoder and generative decoder",
    "predictive": "encoder and predictive decoder",
    "both": "encoder and both decoders",
    "predictive_network": "the network that predicts from the noisy speech alone",
}
_OFFSET = (
    " Take out direct current (here: the mean\n   around each sample, taken twice over 0.5 s)."
)
_COVERING = """ Continue it by
   its mirror image to `ceil((samples + max(0, n_fft // 2 - hop)) / hop) * hop` samples."""


def readme(
    description: Description, programs: Mapping[str, float], modes: Mapping[str, float]
) -> str:
    """The text, with the differences from PyTorch of each program and mode."""
    transform = description.spectrogram
    files = [f"| `{file}` | {_MEANINGS[name]} |" for name, file in description.programs.items()]
    measured = [("program", name, value) for name, value in programs.items()]
    measured += [("mode", name, value) for name, value in modes.items()]
    return TEXT.format(
        name=description.name,
        precision=description.precision,
        written_by=description.written_by,
        licence=description.licence,
        programs="\n".join(files),
        mode=next(iter(description.modes)),
        sample_rate=transform.sample_rate,
        offset="" if transform.published else _OFFSET,
        covering="" if transform.published else _COVERING,
        n_fft=transform.n_fft,
        hop=transform.hop,
        bins=transform.bins,
        factor=transform.factor,
        exponent=transform.exponent,
        frame_multiple=description.frame_multiple,
        tolerance=description.tolerance,
        with_rounding=" with the same rounding" if description.precision == "int8" else "",
        differences="\n".join(f"| {kind} {name} | {value:.1e} |" for kind, name, value in measured),
    )
