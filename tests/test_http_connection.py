"""What becomes of a request whose client goes away, or takes its answer too slowly."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from app.middleware import http_connection


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: nothing here asks it."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


async def until_told() -> AsyncGenerator[str, None]:
    """Say something now and then; note when it is told to end."""
    try:
        while True:
            yield "."
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        ended.append("told")
        raise


async def wait() -> str:
    return "".join([word async for word in until_told()])


async def stream() -> AsyncGenerator[str, None]:
    return until_told()


ended: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_has_ended() -> None:
    ended.clear()


class Client:
    """Somebody who asks, and goes away when told to."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.heard: list[Any] = []
        self.asked = False

    async def ask(self, app: Quart) -> None:
        headers = [(b"host", b"127.0.0.1:5000")]
        scope: Any = {"type": "http", "method": "GET", "http_version": "1.1", "scheme": "http", "query_string": b""}
        scope |= {"path": "/about", "headers": headers}
        await app(scope, self.receive, self.send)

    async def receive(self) -> Any:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.heard.append(message)


class Idle(Client):
    """Somebody who asks, and takes nothing of the answer."""

    async def send(self, _message: Any) -> None:
        await asyncio.Event().wait()


class Broken(Client):
    """Somebody to whom nothing can be sent, which shows only when they have gone."""

    async def send(self, _message: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("of the wire")


@pytest.mark.parametrize("view", [wait, stream])
@pytest.mark.parametrize("after", [0, 2 * http_connection.PATIENCE])
async def test_a_view_ends_when_its_client_goes(app: Quart, view: Any, after: float) -> None:
    app.view_functions["main_pages.about"] = view
    client = Client()
    request = asyncio.create_task(client.ask(app))
    await asyncio.sleep(after)
    assert ended == []

    client.gone.set()
    await asyncio.wait({request}, timeout=5)
    assert request.done()
    assert ended == ["told"]


async def test_a_server_that_ends_a_request_hears_that_it_has_ended(app: Quart) -> None:
    app.view_functions["main_pages.about"] = wait
    request = asyncio.create_task(Client().ask(app))
    await asyncio.sleep(2 * http_connection.PATIENCE)

    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert ended == ["told"]


@pytest.mark.parametrize("view", [None, stream])
async def test_a_client_that_takes_nothing_is_given_up(app: Quart, view: Any, caplog: pytest.LogCaptureFixture) -> None:
    app.view_functions["main_pages.about"] = view or app.view_functions["main_pages.about"]
    app.config["RESPONSE_TIMEOUT"] = 0.1

    await asyncio.wait_for(Idle().ask(app), 5)
    assert "crashed" not in caplog.text


async def test_what_breaks_when_its_client_goes_is_written_down(app: Quart, caplog: pytest.LogCaptureFixture) -> None:
    client = Broken()
    request = asyncio.create_task(client.ask(app))
    await asyncio.sleep(2 * http_connection.PATIENCE)

    client.gone.set()
    await asyncio.wait({request}, timeout=5)
    assert "crashed" in caplog.text


async def test_a_page_goes_out_in_one_piece(app: Quart) -> None:
    client = Client()
    await client.ask(app)

    start, body = client.heard
    assert (start["status"], body["more_body"]) == (200, False)
    assert b"</html>" in body["body"]


@pytest.mark.parametrize("seconds", [0, 2 * http_connection.PATIENCE])
async def test_who_has_been_answered_is_watched_no_longer(app: Quart, seconds: float) -> None:
    async def page() -> str:
        await asyncio.sleep(seconds)
        return "here"

    app.view_functions["main_pages.about"] = page
    await Client().ask(app)
    await asyncio.sleep(2 * http_connection.PATIENCE)

    assert [task for task in asyncio.all_tasks() if "cancel_when_gone" in repr(task)] == []


@pytest.mark.parametrize("debug", [False, True])
async def test_what_breaks_around_a_view_shows_its_inside_to_developers_alone(app: Quart, *, debug: bool) -> None:
    async def crash(_error: BaseException | None) -> None:
        raise ValueError("of the inside")

    app.debug = debug
    app.teardown_request(crash)
    client = Client()
    await client.ask(app)

    assert client.heard[0]["status"] == 500
    assert (b'class="traceback"' in client.heard[1]["body"]) is debug
    assert debug or b"of the inside" not in client.heard[1]["body"]
