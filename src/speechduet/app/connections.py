"""Connections that cost a server little, whoever is at the other end."""

import asyncio
from typing import Any

from h11 import Request
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

REQUEST_TIMEOUT_S = 10.0
"""Seconds in which a request has to begin, its header complete."""


class HttpConnection(H11Protocol):
    """One that is closed when a request does not begin in time: uvicorn would wait for ever."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._late = self.loop.call_later(REQUEST_TIMEOUT_S, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take what has come of a request."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it has come."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._stop_waiting()
            self._late = self.loop.call_later(REQUEST_TIMEOUT_S, self.transport.close)

    def handle_websocket_upgrade(self, event: Request) -> None:
        """Pass the connection on; uvicorn would leave one that does not begin with GET open."""
        self._stop_waiting()
        if event.method == b"GET":
            super().handle_websocket_upgrade(event)
        else:
            self.send_400_response("A WebSocket begins with GET.")

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket whose answers do not pile up before a client that reads none."""

    def handle_ping(self) -> None:
        """Answer a ping, unless earlier answers have not been read yet."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    async def send(self, message: Any) -> None:
        """Send; a refusal ends the handshake, which uvicorn would report as an error otherwise."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True
