"""What is taken of a request, and how a server ends one that brings too much or too slowly."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra app")

from starlette.requests import ClientDisconnect, Request

from speechduet.app import intake
from speechduet.app.disk_space import Space
from speechduet.app.intake import FORM_BYTES, Intake
from speechduet.app.limits import Limits

GONE = {"type": "http.disconnect"}


def part(size: int, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": bytes(size), "more_body": more}


async def reads_all(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers by the number of bytes that came."""
    body = await Request(scope, receive).body()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


async def fails_badly(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers by itself what went wrong, and then fails for another reason."""
    try:
        await Request(scope, receive).body()
    except Exception as error:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        raise RuntimeError("response already started") from error


def answered(
    *parts: dict[str, Any],
    path: str = "/enhance",
    app: Any = reads_all,
    space: Space | None = None,
    declared: bytes = b"",
    **limits: Any,
) -> tuple[int | None, Any]:
    """Status and content of the answer to a request whose parts come at once, and then no more."""
    remaining, sent = list(parts), []

    async def receive() -> Any:
        if remaining:
            return remaining.pop(0)
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", declared)] if declared else []
    scope = {"type": "http", "path": path, "headers": headers, "method": "POST"}
    checked = Limits(**{"max_megabytes": 0.2, "upload_timeout": 1, **limits})
    taken = Intake(app, checked, space or Space(checked.max_kept_megabytes))
    asyncio.run(taken(scope, receive, send))
    if not sent:
        return None, ""
    status = [message["status"] for message in sent if message["type"] == "http.response.start"]
    content = b"".join(message.get("body", b"") for message in sent)
    assert len(status) == 1
    return status[0], json.loads(content) if status[0] != 200 else content


@pytest.mark.parametrize("app", [reads_all, fails_badly])
@pytest.mark.parametrize(
    ("parts", "path", "status", "message"),
    [
        ([part(150_000), part(150_000)], "/enhance", 413, "larger than this server takes"),
        ([part(150_000), part(150_000)], "/gradio_api/upload", 413, "at most 0.2 MB"),
        ([part(FORM_BYTES + 1)], "/gradio_api/queue/join", 413, "at most 65536 bytes"),
        ([part(1000)], "/enhance", 408, "nothing of the upload came for 1 s"),
        ([], "/gradio_api/queue/join", 408, "nothing of the upload came for 1 s"),
    ],
)
def test_too_much_and_too_slow_are_refused_whatever_the_application_makes_of_it(
    app: Any, parts: list[Any], path: str, status: int, message: str
) -> None:
    found, content = answered(*parts, path=path, app=app)
    assert found == status and message in content["error"]


def test_what_comes_in_limits_passes() -> None:
    assert answered(part(150_000), part(70_000, more=False)) == (200, b"220000")
    assert answered(part(FORM_BYTES, more=False), path="/any") == (200, b"65536")


def test_a_length_that_is_announced_is_refused_before_anything_is_read() -> None:
    assert answered(declared=b"9" * 18)[0] == 413
    assert answered(part(5, more=False), declared=b"-5")[0] == 200


def test_one_byte_now_and_then_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean rate counts once the time without a byte is over, however often a byte comes."""
    monkeypatch.setattr(intake, "time", Clock())
    status, content = answered(*[part(1)] * 100, upload_timeout=30)
    assert status == 408 and "less than 5000 bytes a second" in content["error"]
    assert answered(*[part(60_000)] * 3, part(0, more=False), upload_timeout=30)[0] == 200


class Clock:
    """A second later each time it is asked."""

    now_s = 0.0

    def monotonic(self) -> float:
        self.now_s += 1
        return self.now_s


@pytest.mark.parametrize("app", [reads_all, fails_badly])
def test_who_breaks_off_gets_no_answer_and_leaves_no_error(app: Any) -> None:
    assert answered(part(1000), GONE, app=app) == (None, "")


def test_who_goes_after_all_has_come_is_no_error() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([await receive(), await receive()])

    answered(part(10, more=False), GONE, app=app)
    assert seen[1] == GONE


def test_errors_of_the_application_are_its_own() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        answered(app=app)


def test_no_upload_is_taken_beyond_what_may_be_kept(tmp_path: Path) -> None:
    space = Space(0.3)
    space.folders.append(tmp_path)
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "source").write_bytes(bytes(200_000))
    # On its way still, and counted as such.
    (tmp_path / "tmp123").write_bytes(bytes(200_000))
    status, content = answered(part(90_000), part(90_000), space=space)
    assert status == 503 and "keeps 0.3 MB of recordings" in content["error"]
    # What was refused is counted no longer, and what was deleted neither.
    assert answered(part(90_000, more=False), space=space)[0] == 200
    (tmp_path / "job" / "source").unlink()
    space.give_back(0)
    assert answered(part(90_000), part(90_000, more=False), space=space)[0] == 200
    # Other requests are not concerned.
    space.take(290_000)
    assert answered(part(60_000, more=False), path="/any", space=space)[0] == 200
