"""A server that listens, answers, and ends in order."""

import logging
import socket
from collections.abc import Callable
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI

from speechduet.app.connections import HttpConnection, WebSocketConnection
from speechduet.app.live_protocol import largest_block
from speechduet.errors import SettingError

GRACE_S = 1
"""Seconds that answers on their way have when the server is to end."""


def bound(host: str, port: int, open_to_all: bool) -> socket.socket:
    """A socket at this address, before anything else is done. Nobody can connect to it yet.

    ``open_to_all`` allows addresses that other machines can reach. Raises SettingError for those
    otherwise, for a port that is taken, and for a host that this machine is not.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise SettingError(
            f"no address is known for the host {host!r}", "a name or address of this machine"
        ) from error
    family, _, _, _, address = found[0]
    if not open_to_all and not ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise SettingError(
            f"{host} can be reached from other machines",
            "a password",
            "set SPEECHDUET_PASSWORD, or --no-password if whoever reaches it may use it",
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise SettingError(
            f"cannot listen on {host}, port {port}: {reason}",
            remedy="choose another --port, or end what listens there",
        ) from error
    return listener


def address_of(host: str, listener: socket.socket) -> str:
    """What to enter in a browser."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


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
