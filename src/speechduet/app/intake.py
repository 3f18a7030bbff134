"""What comes with requests, taken in within limits of time and size: around every request."""

import asyncio
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speechduet.app.disk_space import Space
from speechduet.app.limits import Limits, TooMuchError, UploadError
from speechduet.app.refusals import refusal
from speechduet.errors import SpeechduetError

UPLOADS = ("/enhance", "/gradio_api/upload")
"""The addresses to which recordings are sent; what is sent to others is short."""
FORM_BYTES = 1 << 16
"""What may come with a recording, or without one."""
SLOWEST_BYTES_PER_S = 5_000
"""The mean rate below which an upload is given up, once it has taken longer than its timeout."""


class Intake:
    """An application whose requests come whole, soon and no larger than is allowed.

    What else would be read from a request is answered with the statuses of `refusal`, and one that
    is broken off not at all, whatever the application makes of it.
    """

    def __init__(self, app: ASGIApp, limits: Limits, space: Space) -> None:
        self._app = app
        self._limits = limits
        self._space = space

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes in time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, self._limits, self._space)
        answered = False

        async def send_if_whole(message: Message) -> None:
            nonlocal answered
            if body.error is None or answered:
                answered = True
                await send(message)

        async def refuse() -> None:
            if isinstance(body.error, SpeechduetError) and not answered:
                await refusal(type(body.error), str(body.error))(scope, receive, send)

        try:
            await self._app(scope, body.receive, send_if_whole)
        except Exception:
            if body.error is not None:  # Of which the application has made another one.
                await refuse()
                return
            raise
        finally:
            body.release()
        await refuse()


class _Body:
    """The content of one request on its way."""

    def __init__(self, scope: Scope, receive: Receive, limits: Limits, space: Space) -> None:
        self.error: Exception | None = None
        """Why no more of it is taken."""
        self._receive, self._limits, self._space = receive, limits, space
        self._is_upload = scope["path"] in UPLOADS
        self._most = FORM_BYTES + limits.max_bytes * self._is_upload
        declared = dict(scope["headers"]).get(b"content-length", b"")
        self._declared = int(declared) if declared.isdigit() else 0
        self._begun_s = time.monotonic()
        self._received = 0
        self._taken = 0
        self._whole = False

    async def receive(self) -> Message:
        """The next part. Raises TooMuchError, UploadError, BusyError or ClientDisconnect."""
        if self._whole:
            return await self._receive()
        if self.error is None:
            try:
                return await self._part()
            except (SpeechduetError, ClientDisconnect) as error:
                self.error = error
                self.release()
        raise self.error

    async def _part(self) -> Message:
        self._check(max(self._declared, self._received))
        message = await self._in_time()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = len(message.get("body", b""))
        self._received += part
        self._check(self._received)
        if self._is_upload:
            self._space.take(part)
            self._taken += part
        if not message.get("more_body", False):
            self._whole = True
            self.release()
        return message

    async def _in_time(self) -> Message:
        timeout = self._limits.upload_timeout
        last_s = self._begun_s + timeout + self._received / SLOWEST_BYTES_PER_S
        left_s = min(timeout, last_s - time.monotonic())
        try:
            return await asyncio.wait_for(self._receive(), max(left_s, 0.01))
        except asyncio.TimeoutError:
            found = (
                f"nothing of the upload came for {timeout} s"
                if left_s == timeout or not self._received
                else f"the upload came at less than {SLOWEST_BYTES_PER_S} bytes a second"
            )
            raise UploadError(found, remedy="send it again") from None

    def _check(self, size: int) -> None:
        if size <= self._most:
            return
        if self._is_upload:
            self._limits.check_bytes(size, "the upload")
        raise TooMuchError("a request too large for this address", f"at most {self._most} bytes")

    def release(self) -> None:
        """What came is in a file now, or has been dropped."""
        self._space.give_back(self._taken)
        self._taken = 0
