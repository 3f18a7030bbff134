"""A WebSocket that takes blocks of sound and gives back enhanced ones, a stated time later."""

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from starlette.types import Message

from speechduet.app.limits import BusyError, Limits
from speechduet.app.live_protocol import LATE, BlockError, LiveRequest, told
from speechduet.audio import Samples
from speechduet.audio.wav_stream import encode
from speechduet.enhancement.arrivals import Arrivals
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.live import Live
from speechduet.enhancement.pace import Pace
from speechduet.errors import SpeechduetError
from speechduet.network.cost import evaluations

NORMAL, FAILED = 1000, 1011
LONGEST_REASON = 123
"""Bytes of a reason that the protocol has room for."""


class Streams:
    """The live streams of a server: each has a thread that enhances, and there are only so many."""

    def __init__(self, enhancer: Enhancer, limits: Limits) -> None:
        self._enhancer = enhancer
        self._limits = limits
        self._pool = ThreadPoolExecutor(max(1, limits.max_live), "live")
        self.count = 0
        """Streams at present."""

    def begin(self, request: LiveRequest) -> Live:
        """A stream, if there may be one more; it has to be `run`.

        Raises BusyError, TooMuchError or SettingError.
        """
        self._limits.check_rate(request.sample_rate, request.channels, "the stream")
        if self.count >= self._limits.max_live:
            raise BusyError(
                f"this server has its {self._limits.max_live} live streams",
                remedy="try again later",
            )
        sampling = self._enhancer.sampling(request.mode, **request.expert)
        self._limits.check_evaluations(evaluations(self._enhancer.system.layout, sampling))
        live = self._enhancer.live(
            *(request.sample_rate, request.channels, request.latency_s, request.mode),
            seed=request.seed,
            **request.expert,
        )
        self.count += 1
        return live

    async def run(self, websocket: WebSocket, request: LiveRequest, live: Live) -> None:
        """Enhance until the client ends the stream, goes, or sends what is no block."""
        stream = _Stream(websocket, request, live, self._limits.upload_timeout)
        try:
            await stream.run(self._pool)
        finally:
            stream.abandon()
            self.count -= 1

    def close(self) -> None:
        """End the threads; their streams have ended before."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Stream:
    """One stream: the event loop receives and sends, a thread enhances."""

    def __init__(
        self, websocket: WebSocket, request: LiveRequest, live: Live, timeout_s: float
    ) -> None:
        self._websocket = websocket
        self._timeout_s = timeout_s
        self._request = request
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._pace = Pace(live.levels, live.latency_s, request.live, begun_s=time.monotonic())
        self._arrivals = Arrivals(self._pace, request.sample_rate, self._unread_s)
        self._given = 0
        self._played: int | None = None
        self._abandoned = False

    async def run(self, pool: ThreadPoolExecutor) -> None:
        """Receive, enhance in a thread of the pool, and send, until either end has had enough."""
        await self._tell(
            "ready",
            latency_s=self._live.latency_s,
            latency_samples=self._live.latency_samples,
            levels=self._live.levels,
        )
        receiving = asyncio.ensure_future(self._receive())
        enhancing = self._loop.run_in_executor(pool, self._enhance)
        for future in (receiving, enhancing):
            future.add_done_callback(lambda future: future.cancelled() or future.exception())
        try:
            await asyncio.wait({receiving, enhancing}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                receiving.result()
            await enhancing
            await self._tell("end", **self._pace.counters._asdict())
            await self._websocket.close(NORMAL)
        except WebSocketDisconnect:
            pass  # Nobody is there any more.
        except SpeechduetError as error:
            code = error.code if isinstance(error, BlockError) else FAILED
            with suppress(WebSocketDisconnect):
                await self._tell("error", error=str(error))
                reason = str(error).encode()[:LONGEST_REASON].decode(errors="ignore")
                await self._websocket.close(code, reason)
        finally:
            self.abandon()
            receiving.cancel()

    def abandon(self) -> None:
        """Let the thread end without enhancing what has not been."""
        self._abandoned = True
        self._arrivals.abandon()

    async def _receive(self) -> None:
        """Take blocks until the client says that there are no more."""
        while True:
            message = await self._message()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", NORMAL))
            data = message.get("bytes")
            if data is None:
                played = told(message["text"])
                if played is None:
                    break
                self._played = played.samples
            elif data:
                self._arrivals.put(self._request.block(data))
            while not self._arrivals.wait_for_room(0):
                await asyncio.sleep(0.01)
        self._arrivals.close()

    async def _message(self) -> Message:
        """The next message. Raises BlockError if none comes: others may want the place."""
        try:
            return await asyncio.wait_for(self._websocket.receive(), self._timeout_s)
        except asyncio.TimeoutError:
            raise BlockError(
                LATE, f"nothing came for {self._timeout_s:g} s", "sound, silence included"
            ) from None

    def _enhance(self) -> None:
        """The work of the thread."""
        before = (0, False)
        for block in self._arrivals:
            self._live.level = self._pace.level
            now = (self._pace.level, self._pace.leaving_out)
            if now != before:
                self._wait(self._tell("pace", **self._pace.counters._asdict()))
            before = now
            self._give(self._live.process(block.T).T)
        if not self._abandoned:
            self._give(self._live.finish().T)

    def _give(self, block: Samples) -> None:
        if len(block):
            self._wait(self._websocket.send_bytes(encode(block, self._request.header)))
            self._given += len(block)

    def _wait(self, sending: Coroutine[Any, Any, None]) -> None:
        """Send from the thread. Raises WebSocketDisconnect if nobody is there any more."""
        future = asyncio.run_coroutine_threadsafe(sending, self._loop)
        while True:
            try:
                return future.result(0.5)
            except NotYet:
                pass
            except RuntimeError:
                break  # It has been closed.
            if self._abandoned:
                future.cancel()
                break
        raise WebSocketDisconnect

    async def _tell(self, kind: str, **what: Any) -> None:
        await self._websocket.send_json({"type": kind, **what})

    def _unread_s(self) -> float:
        if self._played is None:
            return 0.0
        return max(0, self._given - self._played) / self._request.sample_rate
