"""Examples that end the help of each command, by the words that call it."""

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "enhance": (
        "speechduet enhance noisy.wav -o clean.wav",
        "speechduet enhance recordings -o enhanced --mode fast --workers 2",
        "speechduet enhance talk.mp4 -o talk.flac --track 2 --plot",
        "arecord -f S16_LE -r 16000 | speechduet enhance - -o - | aplay",
    ),
    "evaluate": (
        "speechduet evaluate --clean clean --enhanced enhanced --noisy noisy",
        "speechduet evaluate --clean clean --enhanced enhanced --report scores.html",
    ),
    "train": (
        "speechduet train --config recipes/smoke/gp_unified.yaml",
        "speechduet train --config recipe.yaml --override run.max_steps=1000",
    ),
    "ablate": ("speechduet ablate --config recipes/ablation/bundled.yaml",),
    "prepare voicebank": ("speechduet prepare voicebank archives -o data/voicebank --download",),
    "prepare pairs": ("speechduet prepare pairs clean noisy -o data/pairs --sample-rate 16000",),
    "prepare mix": ("speechduet prepare mix --speech speech --noise noise -o mixed --snr 0,5",),
    "reproduce voicebank": (
        "speechduet reproduce voicebank --data archives --folder runs/voicebank",
    ),
    "models": ("speechduet models", "speechduet models --table --json"),
    "info": (
        "speechduet info noisy.wav",
        "speechduet info noisy.wav --mode best --json",
        "speechduet info checkpoint.ckpt",
    ),
    "plot": ("speechduet plot noisy.wav enhanced.wav clean.wav -o comparison.png",),
    "bench": (
        "speechduet bench --threads 2",
        "speechduet bench --network sgmse_plus --json bench.json",
    ),
    "convert": ("speechduet convert checkpoint.ckpt models/mine",),
    "adapt": ("speechduet adapt my_noise --speech my_speech -o models/adapted",),
    "export": ("speechduet export --onnx exported --precision float16",),
    "serve": ("speechduet serve --port 8000",),
    "bulk": (
        "speechduet bulk recordings -o enhanced",
        "speechduet bulk list.csv -o enhanced --shards tar",
        "speechduet bulk --status enhanced",
    ),
}


def epilogue(words: str) -> str | None:
    """The examples of a command as the end of its help."""
    lines = EXAMPLES.get(words)
    # A single line break would become a space.
    return "\n\n".join(("Examples:", *(f"  {line}" for line in lines))) if lines else None
