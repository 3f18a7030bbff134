"""Enhance a recording through the WebSocket of ``speechduet serve``, as fast as it lasts.

    speechduet serve &
    python examples/live_client.py noisy.wav clean.wav

A microphone is served in the same way: send each block as it comes, play what comes back.
"""

import argparse
import asyncio
import json
import time

import numpy as np
import soundfile
from websockets.asyncio.client import ClientConnection, connect

BLOCK_S = 0.05


async def send(socket: ClientConnection, samples: np.ndarray, sample_rate: int) -> None:
    """Blocks of sound, each when its time has come, and the word that no more come."""
    size = round(BLOCK_S * sample_rate)
    begun = time.monotonic()
    for start in range(0, len(samples), size):
        await socket.send(samples[start : start + size].astype("<f4").tobytes())
        ahead_s = (start + size) / sample_rate - (time.monotonic() - begun)
        await asyncio.sleep(max(0.0, ahead_s))
    await socket.send(json.dumps({"type": "end"}))


async def enhance(source: str, target: str, url: str, mode: str) -> None:
    """One recording through one connection."""
    samples, sample_rate = soundfile.read(source, dtype="float32", always_2d=True)
    channels = samples.shape[1]
    query = f"sample_rate={sample_rate}&channels={channels}&format=f32le&mode={mode}"
    async with connect(f"{url}?{query}") as socket:
        sending = asyncio.create_task(send(socket, samples, sample_rate))
        with soundfile.SoundFile(target, "w", sample_rate, channels) as file:
            async for message in socket:
                if isinstance(message, bytes):
                    file.write(np.frombuffer(message, "<f4").reshape(-1, channels))
                else:
                    print(message)  # how late it is, and what is done about it
        await sending


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--url", default="ws://127.0.0.1:7860/live")
    parser.add_argument("--mode", default="fast")
    arguments = parser.parse_args()
    asyncio.run(enhance(arguments.source, arguments.target, arguments.url, arguments.mode))
