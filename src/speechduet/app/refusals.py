"""What a server answers to whom it refuses, and when something fails."""

from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from speechduet.app.limits import BusyError, TooMuchError, UploadError
from speechduet.errors import AudioError, SettingError, SpeechduetError

_STATUS = (
    (BusyError, 503),
    (TooMuchError, 413),
    (UploadError, 408),
    (AudioError, 422),
    (SettingError, 422),
)


def refused(status: int, *parts: str) -> JSONResponse:
    """An answer that says why there is no other."""
    return JSONResponse({"error": "; ".join(parts)}, status)


def refusal(kind: type[Exception] | None, text: str) -> JSONResponse:
    """What kind of error it is, in the numbers of HTTP."""
    known = (status for error, status in _STATUS if kind is not None and issubclass(kind, error))
    response = refused(next(known, 500), text)
    if response.status_code == 503:
        response.headers["retry-after"] = str(BusyError.retry_after_s)
    return response


async def answer(response: JSONResponse, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer in place of what was asked for, be it the opening of a WebSocket."""
    if scope["type"] == "http":
        await response(scope, receive, send)
        return
    websocket = WebSocket(scope, receive, send)
    if "websocket.http.response" in scope.get("extensions", {}):
        await websocket.send_denial_response(response)
    else:
        await websocket.close(1008)


def _spoken(request: Request, error: Exception) -> JSONResponse:
    return refusal(type(error), str(error))


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)
    wrong = error.errors()[0]
    return refused(422, f"{wrong['loc'][-1]} is {wrong.get('input')!r}", wrong["msg"])


def _plain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = refused(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


def _gone(request: Request, error: Exception) -> JSONResponse:
    return refused(400, "the upload was broken off")  # which nobody reads


def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    return refused(500, f"{type(error).__name__}: {error}")


HANDLERS = {
    SpeechduetError: _spoken,
    RequestValidationError: _invalid,
    WebSocketRequestValidationError: _invalid,
    HTTPException: _plain,
    ClientDisconnect: _gone,
    Exception: _unforeseen,
}
"""What an application makes of the errors of each kind."""
