"""Draws comparison.png: a bundled sample before and after, and its clean speech.

python docs/pictures/comparison.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from speechduet import Enhancer, enhance_file
from speechduet.comparison import draw_comparison

ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    picture = Path(__file__).with_suffix(".png")
    noisy, clean = (ROOT / f"samples/{role}/cafe.flac" for role in ("noisy", "clean"))
    with TemporaryDirectory() as folder:
        enhanced = Path(folder, "cafe.wav")
        enhance_file(noisy, enhanced, Enhancer.from_pretrained(device="cpu"))
        draw_comparison(noisy, enhanced, picture, clean)
    # A palette is a third of the size, with no difference to the eye.
    Image.open(picture).convert("RGB").quantize(64).save(picture, optimize=True)
