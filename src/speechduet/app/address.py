"""Where a server listens; checked before anything that takes long to import is needed."""

import socket
from ipaddress import ip_address

from speechduet.errors import SettingError


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
