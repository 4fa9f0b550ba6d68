"""Every error is a page of ours, or JSON: what happened, what to do next, and nothing of the inside."""

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, abort
from quart.testing import WebsocketResponseError
from quart.typing import ResponseReturnValue, TestClientProtocol
from werkzeug.exceptions import HTTPException, MethodNotAllowed, TooManyRequests

from app.middleware import authentication
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
from app.models import db
from app.models.core import DatabaseUnavailable
from conftest import serving
from people import create_user, log_in, page, register

STATUSES = {
    400: "We could not read that",
    401: "Log in first",
    403: "That is not allowed",
    404: "There is no such page",
    405: "That does not work here",
    408: "That took too long",
    413: "That is too much",
    422: "We could not use that",
    429: "Too many tries",
    500: "Something went wrong",
    503: "We will be right back",
}
REQUEST_ID = re.compile(r"<code>([0-9a-f]{16})</code>")


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: an error page does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


@pytest.fixture
async def app(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    """Serve a site with pages that go wrong."""
    wrong = {"fail", "crash", "no_database", "api_fail"}
    monkeypatch.setattr(authentication, "PUBLIC_ENDPOINTS", PUBLIC_ENDPOINTS | wrong)
    async with serving(settings, add_pages_that_go_wrong) as app:
        yield app


def add_pages_that_go_wrong(app: Quart) -> None:
    async def fail(status: int) -> ResponseReturnValue:
        abort(status, description="<inside>")

    async def crash() -> ResponseReturnValue:
        raise RuntimeError("the secret of the inside")

    async def no_database() -> ResponseReturnValue:
        raise DatabaseUnavailable("OperationalError: db.internal:3306")

    app.add_url_rule("/fail/<int:status>", "fail", fail)
    app.add_url_rule("/api/fail/<int:status>", "api_fail", fail)
    app.add_url_rule("/crash", "crash", crash)
    app.add_url_rule("/no-database", "no_database", no_database)


@pytest.mark.parametrize(("status", "words"), STATUSES.items())
async def test_every_status_has_a_page_in_the_layout(client: TestClientProtocol, status: int, words: str) -> None:
    answer = await client.get(f"/fail/{status}")

    text = await answer.get_data(as_text=True)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert f"<h1>{words}</h1>" in text
    assert f"<title>{words} · " in text
    assert 'href="/">Front page</a>' in text
    assert "css/main.css" in text
    assert REQUEST_ID.search(text)
    assert "inside" not in text


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("path", "accept"), [("/api/fail", "text/html"), ("/fail", "application/json")])
async def test_a_program_gets_the_same_as_json(client: TestClientProtocol, status: int, path: str, accept: str) -> None:
    answer = await client.get(f"{path}/{status}", headers={"Accept": accept})

    told = await answer.get_json()
    assert (answer.status_code, answer.mimetype) == (status, "application/json")
    assert set(told["error"]) == {"code", "message"}
    assert re.fullmatch("[a-z_]+", told["error"]["code"])
    assert told["error"]["message"].startswith(STATUSES[status])
    assert "inside" not in str(told)


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/nope", "*/*", "text/html"),
        ("/nope", "", "text/html"),
        ("/nope", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("/nope", "application/json;q=0.5, text/html", "text/html"),
        ("/nope", "application/json, text/plain, */*", "text/html"),
        ("/nope", "application/json, */*;q=0.1", "application/json"),
        ("/apinope", "*/*", "text/html"),
        ("/api/nope", "*/*", "application/json"),
        ("/nope", "\u00ff;q=zz,,", "text/html"),
    ],
)
async def test_json_is_for_those_who_prefer_it(client: TestClientProtocol, path: str, accept: str, kind: str) -> None:
    answer = await client.get(path, headers={"Accept": accept})

    assert (answer.status_code, answer.mimetype) == (404, kind)


async def test_a_crash_shows_nothing_of_the_inside_and_is_logged(
    client: TestClientProtocol, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get("/crash")

    text = await answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "<h1>Something went wrong</h1>" in text
    assert not any(word in text for word in ("secret", "Traceback", "RuntimeError", "crash", ".py"))
    assert "RuntimeError: the secret of the inside" in caplog.text


async def test_a_crash_is_found_in_the_log_by_the_number_on_the_page(
    client: TestClientProtocol, caplog: pytest.LogCaptureFixture
) -> None:
    shown = REQUEST_ID.search(await page(client, "/crash"))

    assert shown
    assert shown[1] in caplog.text


async def test_every_request_has_a_number_of_its_own(client: TestClientProtocol) -> None:
    numbers = {tuple(REQUEST_ID.findall(await page(client, "/nope"))) for _ in range(5)}

    assert len(numbers) == 5


async def test_a_database_that_is_away_is_a_503_with_a_time_to_come_back(
    client: TestClientProtocol, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get("/no-database")

    text = await answer.get_data(as_text=True)
    shown = REQUEST_ID.search(text)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "db.internal" not in text
    assert "db.internal" in caplog.text
    assert shown
    assert shown[1] in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/logout", {"POST", "OPTIONS"}),
        ("PUT", "/login", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("DELETE", "/api/", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: TestClientProtocol, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.open(path, method=method)  # type: ignore[call-arg] # its type forgets a default

    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [(TooManyRequests(retry_after=7), "Retry-After", "7"), (MethodNotAllowed(["PUT"]), "Allow", "PUT")],
)
async def test_what_a_status_needs_stands_in_its_headers(
    app: Quart, error: HTTPException, name: str, value: str
) -> None:
    async def refuse() -> None:
        raise error

    app.before_request(refuse)
    answer = await app.test_client().get("/about")

    assert (answer.status_code, answer.headers[name], answer.mimetype) == (error.code, value, "text/html")


@pytest.mark.parametrize(("status", "words"), [(418, STATUSES[400]), (451, STATUSES[400]), (501, STATUSES[500])])
async def test_a_status_without_words_of_its_own_gets_the_nearest(
    client: TestClientProtocol, status: int, words: str
) -> None:
    answer = await client.get(f"/fail/{status}")

    assert answer.status_code == status
    assert words in await answer.get_data(as_text=True)


async def test_a_range_that_a_file_has_not_is_refused(client: TestClientProtocol) -> None:
    answer = await client.get("/static/css/main.css", headers={"Range": "bytes=999999-"})

    assert (answer.status_code, answer.mimetype) == (416, "text/html")


async def test_the_address_of_a_missing_page_is_not_repeated(client: TestClientProtocol) -> None:
    assert "<script>alert" not in await page(client, "/%3Cscript%3Ealert(1)%3C/script%3E")


@pytest.mark.parametrize("path", ["/static/nope.css", "/static/../app_factory.py", "/static/css"])
async def test_a_file_that_is_not_there_is_a_404(client: TestClientProtocol, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_a_file_name_that_is_too_long_is_none_of_ours(client: TestClientProtocol) -> None:
    assert (await client.get(f"/static/{'a' * 255}")).status_code == 404
    assert (await client.get(f"/static/{'a' * 256}")).status_code == 414


async def test_a_log_in_that_is_missing_is_a_401_for_programs(client: TestClientProtocol) -> None:
    answer = await client.get("/change", headers={"Accept": "application/json"})

    assert answer.status_code == 401
    assert (await answer.get_json())["error"]["code"] == "unauthorized"


async def test_whoever_is_logged_in_stays_so_on_an_error_page(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await log_in(client)

    assert "ada@example.com" in await page(client, "/nope")


@pytest.fixture
async def ada_without_database(client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch) -> TestClientProtocol:
    """Return a browser that is logged in to a site whose database has just gone."""

    async def gone(*_args: object, **_more: object) -> None:
        raise DatabaseUnavailable("gone")

    await register(client)
    monkeypatch.setattr(type(db), "_run", gone)
    return client


@pytest.mark.parametrize("path", ["/", "/about", "/login", "/change"])
async def test_without_a_database_whoever_has_a_cookie_sees_the_503_page(
    ada_without_database: TestClientProtocol, path: str
) -> None:
    answer = await ada_without_database.get(path)

    assert answer.status_code == 503
    assert STATUSES[503] in await answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("GET", "/nope", {}),
        ("PUT", "/login", {}),
        ("POST", "/logout", {}),
        ("POST", "/login", {"email": "ada@example.com", "password": "correct horse battery staple"}),
    ],
)
async def test_without_a_database_every_request_with_a_cookie_is_a_503(
    ada_without_database: TestClientProtocol, method: str, path: str, form: dict[str, str]
) -> None:
    answer = await ada_without_database.open(path, method=method, form=form)  # type: ignore[call-arg] # its type forgets a default

    assert answer.status_code in (404, 405, 503)
    assert "<h1>" in await answer.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/", "/about", "/login", "/api/", "/healthz", "/static/css/main.css"])
async def test_without_a_database_a_stranger_notices_nothing(
    app: Quart, ada_without_database: TestClientProtocol, path: str
) -> None:
    assert (await app.test_client().get(path)).status_code == 200


async def test_a_websocket_where_there_is_none_is_refused_in_silence(
    app: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    with pytest.raises(WebsocketResponseError):
        async with app.test_client().websocket("/"):
            pass

    assert caplog.text == ""


async def test_a_query_that_is_no_text_is_not_our_crash(client: TestClientProtocol) -> None:
    answer = await client.get("/login", scope_base={"query_string": b"next=\xff"})

    assert answer.status_code in (200, 400)
