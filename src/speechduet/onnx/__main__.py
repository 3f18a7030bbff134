"""``python -m speechduet.onnx DIR in.wav -o out.wav``: a recording through an exported model.

Exit status: 0 all done, 1 the recording failed, 2 wrong usage.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from speechduet.errors import ModelError, SettingError, SpeechduetError
from speechduet.names import shown
from speechduet.onnx import Enhancer, enhance_file


def main() -> int:
    """Run the command line."""
    parser = ArgumentParser(
        prog="python -m speechduet.onnx",
        description="Enhance a recording with an exported model, without PyTorch.",
    )
    parser.add_argument("folder", type=Path, help="made by `speechduet export --onnx`")
    parser.add_argument("input", type=Path, help="recording of any length, rate and channels")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    parser.add_argument("--mode", default="balanced", help="fast, balanced or best")
    parser.add_argument("--strength", type=float, default=1.0, help="0 input to 1 enhanced")
    parser.add_argument("--seed", type=int, default=0, help="the same gives the same result")
    parser.add_argument("--threads", type=int, help="default: as many as there are cores")
    parser.add_argument("--segment", type=float, default=16.0, help="seconds; bounds the memory")
    parser.add_argument("--salvage", action="store_true", help="what a truncated file holds")
    given = parser.parse_args()
    try:
        duration_s = enhance_file(
            given.input,
            given.output,
            Enhancer(given.folder, given.threads, given.segment),
            given.mode,
            strength=given.strength,
            seed=given.seed,
            salvage=given.salvage,
            notify=_say,
        )
    except SpeechduetError as error:
        _say(str(error))
        return 2 if isinstance(error, SettingError | ModelError) else 1
    _say(f"{given.output}: {duration_s:.1f} s enhanced")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(shown(text) + "\n")


if __name__ == "__main__":
    sys.exit(main())
