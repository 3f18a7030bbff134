"""A server that listens, answers, and ends in order."""

import logging
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from speechduet.app.connections import HttpConnection, WebSocketConnection
from speechduet.app.live_protocol import largest_block

GRACE_S = 1
"""Seconds that answers on their way have when the server is to end."""


def configured(app: FastAPI) -> uvicorn.Config:
    """How an application of `create_app` is served."""
    return uvicorn.Config(
        app,
        http=HttpConnection,
        ws=WebSocketConnection,
        ws_max_size=largest_block(app.state.jobs.limits.max_samples_per_s),
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def run(app: FastAPI, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal asks to end; ``ready`` is called when connections are taken.

    What is being enhanced is then stopped, and all files are deleted.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Answers that are broken off now are no errors.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            await super().shutdown(sockets)

    server = Server(configured(app))
    try:
        server.run([listener])
    finally:
        # Whoever is impatient skips the server's own end.
        app.state.jobs.close(0.0)
