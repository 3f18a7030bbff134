"""Who may use a server, and what browsers are told: around every request and every WebSocket."""

from base64 import b64decode
from binascii import Error as Base64Error
from ipaddress import ip_address
from secrets import compare_digest
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speechduet.app.refusals import answer, refused

HEADERS = {
    # All comes from this server: a browser fetches nothing from another one, whatever a page says.
    "content-security-policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
}
"""What every answer carries."""


class Protection:
    """An application behind a password (or none, if empty), for requests that mean this server.

    A page of another site must not use the server through the browser of somebody who may:

    - Its requests carry the address of that page as their origin, which is not ours.
    - It could give its own name our address (DNS rebinding). So without a password a server
      answers to addresses in figures, to ``localhost``, and to the given ``names``.
    """

    def __init__(self, app: ASGIApp, password: str = "", names: tuple[str, ...] = ()) -> None:
        self._app = app
        self._password = password
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass, and answer the rest."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        else:
            await answer(refusal, scope, receive, send_with_headers)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        name = (_address(f"//{host}").hostname or "").lower()
        if not self._password and not _is_address(name) and name not in self._names:
            return refused(
                403,
                f"this server does not answer to the name {name!r}",
                "add it with --name, or set a password",
            )
        origin = headers.get("origin")
        if origin is not None and _address(origin).netloc.lower() != host.lower():
            return refused(403, f"a request from a page of {origin}, which is another site")
        if self._password and not self._knows_password(headers.get("authorization", "")):
            response = refused(401, "this server needs a password", "give it by HTTP basic auth")
            response.headers["www-authenticate"] = 'Basic realm="speechduet", charset="UTF-8"'
            return response
        return None

    def _knows_password(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
        except (Base64Error, ValueError):
            return False
        _, _, password = given.partition(b":")
        return compare_digest(password, self._password.encode())


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _address(text: str) -> SplitResult:
    """The parts of an address; none of what is no address."""
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")
