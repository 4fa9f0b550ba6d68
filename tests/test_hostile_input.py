"""Bad input gets a page that refuses it, in time: never a 500, a row, or an unescaped character."""

import json
import signal
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from types import FrameType
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from quart import Quart, Response
from quart.typing import TestClientProtocol

from app.models import User, UserSession
from support.actions import EMAIL, PASSWORD, count, create_user, is_logged_in, log_in, page, register
from support.hostile_input import (
    BROKEN,
    FORMS,
    HEADERS,
    MULTIPART,
    NASTY,
    SURROGATES,
    Pairs,
    as_json,
    multipart,
    urlencoded,
)

PASSWORDS = json.loads((Path(__file__).parent / "vectors" / "passwords.json").read_text())
OPTIONAL = {"next", "remember"}


SECONDS = 10  # far more than the slowest request takes, and far less than one whose reading is quadratic


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """Interrupt a request that occupies the event loop, in which no timeout of asyncio would fire."""

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    former = signal.signal(signal.SIGALRM, ring)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


class Page(HTMLParser):
    """The elements of a page as a browser parses them, and the values of its inputs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.inputs: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.tags.add(tag)
        assert not any(name.startswith("on") for name in values)
        if tag == "input" and values.get("name"):
            self.inputs[values["name"] or ""] = values.get("value") or ""


def variants(form: dict[str, str]) -> Iterator[Pairs]:
    """Yield the form with each field in turn doubled and, where one has to be, missing and nasty."""
    for name, good in form.items():
        others = [(other, value) for other, value in form.items() if other != name]
        yield [*others, (name, good), (name, good)]
        if name not in OPTIONAL:
            yield others
            yield from ([*others, (name, nasty)] for nasty in NASTY)


async def send(client: TestClientProtocol, path: str, body: bytes, content_type: str | None) -> Response:
    headers = {} if content_type is None else {"Content-Type": content_type}
    signal.alarm(SECONDS)
    response = await client.post(path, data=body, headers=headers)
    signal.alarm(0)
    return response


async def check_refusal(response: Response, statuses: Iterable[int] = (400, 413, 422)) -> Page:
    """Check that the response is a page of the site, and that the input made no element of it."""
    text = await response.get_data(as_text=True)
    assert response.status_code in statuses, text[:200]
    shown = Page(text)
    assert 'class="wordmark"' in text
    assert "svg" not in shown.tags
    assert "X-Evil" not in response.headers
    return shown


async def rows(app: Quart) -> tuple[int, int]:
    return await count(app, User), await count(app, UserSession)


@pytest.mark.parametrize("path", FORMS)
async def test_a_field_that_is_missing_or_doubled_or_nasty_is_refused(
    app: Quart, client: TestClientProtocol, path: str
) -> None:
    await create_user(app)
    if path == "/change":
        await log_in(client)
    before = await rows(app)

    for encode, pairs in product((urlencoded, multipart, as_json), variants(FORMS[path])):
        await check_refusal(await send(client, path, *encode(pairs)))
    for content_type, body in BROKEN:
        await check_refusal(await send(client, path, body, content_type))

    assert await rows(app) == before


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_what_was_typed_comes_back_as_it_was_typed(client: TestClientProtocol, path: str) -> None:
    for nasty in (text for text in NASTY if len(text) < 1000 and text != SURROGATES):
        body, kind = urlencoded([("email", nasty), ("password", nasty), ("next", nasty)])
        shown = await check_refusal(await send(client, path, body, kind), [422])

        assert shown.inputs["email"] == nasty.strip(" ")
        assert shown.inputs.get("next", "") == nasty
        assert shown.inputs["password"] == ""


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_the_query_fills_in_nothing_but_next(client: TestClientProtocol, path: str) -> None:
    for nasty in NASTY:
        query = urlencode([(name, nasty) for name in FORMS[path]], errors="surrogatepass")
        shown = await check_refusal(await client.get(f"{path}?{query}"), [200])

        assert shown.inputs["email"] == shown.inputs["password"] == ""
        assert shown.inputs.get("next", "") == (nasty if nasty != SURROGATES else quote(nasty, errors="surrogatepass"))
        await check_refusal(await client.post(f"{path}?{query}"), [422])


async def test_a_nasty_name_is_escaped(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, name="<svg onload=alert(1)>{{7*7}}")
    await log_in(client)

    assert f"<strong>&lt;svg onload=alert(1)&gt;{{{{7*7}}}} &lt;{EMAIL}&gt;</strong>" in await page(client)


async def test_a_nasty_header_changes_nothing(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    body = urlencode({"email": EMAIL, "password": PASSWORD}).encode()
    for name, value in product([b"user-agent", b"cookie", b"accept", b"referer"], HEADERS):
        scope = {"headers": [(b"host", b"localhost"), (name, value)]}
        await check_refusal(await client.get("/login", scope_base=scope), [200])
        await check_refusal(await client.get("/nowhere", scope_base=scope), [404])

        scope["headers"].append((b"content-type", b"application/x-www-form-urlencoded"))
        response = await client.post("/login", data=body, scope_base=scope)
        assert (response.status_code, response.location) == (303, "/")


async def test_a_session_stores_the_beginning_of_a_long_user_agent(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    for agent in ("x" * 10_000, "ÿ" * 10_000, "<svg onload=alert(1)>\0"):
        form = {"email": EMAIL, "password": PASSWORD}
        response = await client.post("/login", form=form, headers={"User-Agent": agent})

        assert response.status_code == 303
        assert await count(app, UserSession, UserSession.user_agent == agent.encode().decode("latin-1")[:255]) == 1


async def test_a_query_of_bytes_that_are_no_text_gets_a_page(client: TestClientProtocol) -> None:
    for path in ("/", "/login", "/nowhere"):  # HTTP/2 carries any byte here
        await check_refusal(await client.get(path, scope_base={"query_string": b"next=\xff"}), [200, 400, 404])


async def sign_up_and_in(app: Quart, email: str, password: str) -> tuple[int, bool]:
    """Return the status of a registration, and whether a new browser can log in with the password."""
    body, kind = urlencoded([("email", email), ("password", password), ("password_confirm", password)])
    response = await send(app.test_client(), "/register", body, kind)
    other = app.test_client()
    await send(other, "/login", *urlencoded([("email", email), ("password", password)]))
    return response.status_code, await is_logged_in(other)


async def test_any_text_of_eight_characters_may_be_a_password(app: Quart) -> None:
    good = [*PASSWORDS["must_accept"], "' OR 1=1 --", "<svg onload=alert(1)>", "{{7*7}}{{7*7}}", "\U0001f600" * 8]
    for number, password in enumerate(good):
        assert await sign_up_and_in(app, f"{number}@example.com", password) == (303, True), password


async def test_a_password_that_cannot_be_used_makes_no_account(app: Quart) -> None:
    meant = {"the account e-mail itself": EMAIL}
    bad = [meant.get(password, password) for password in PASSWORDS["must_reject"] + PASSWORDS["dos"]]
    for password in [*bad, "A" * 4000, "A" * 4001, "x" * 257, "eight\0eight", "\ufffd" * 8, "\ufb2c" * 256]:
        assert await sign_up_and_in(app, EMAIL, password) == (422, False), password

    assert await rows(app) == (0, 0)


async def test_passwords_that_look_alike_are_the_same_and_others_are_not(app: Quart) -> None:
    pairs = [(pair, True) for pair in PASSWORDS["normalisation_pairs_same"]]
    pairs += [(pair, False) for pair in PASSWORDS["must_differ"] if all(pair)]
    for number, ((one, other), same) in enumerate(pairs):
        await register(app.test_client(), email=f"{number}@example.com", password=one)

        client = app.test_client()
        await log_in(client, email=f"{number}@example.com", password=other)
        assert await is_logged_in(client) is same, (one, other)


@tuned(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(email=st.text(max_size=300), password=st.text(max_size=300), following=st.text(max_size=50), body=st.binary())
async def test_no_text_at_all_breaks_a_form(app: Quart, email: str, password: str, following: str, body: bytes) -> None:
    client = app.test_client()
    pairs = [("email", email), ("password", password), ("password_confirm", password + "!"), ("next", following)]
    for path in ("/register", "/login"):
        await check_refusal(await send(client, path, *urlencoded(pairs)), [422])
        await check_refusal(await send(client, path, *multipart(pairs)), [422])
        await check_refusal(await send(client, path, body, "application/x-www-form-urlencoded"), [422])
        await check_refusal(await send(client, path, b"--XX" + body, MULTIPART), [400, 413, 422])


async def test_a_field_that_was_sent_twice_is_named(client: TestClientProtocol) -> None:
    for name in ("next", "remember"):
        pairs = [("email", EMAIL), ("password", PASSWORD), (name, "/about"), (name, "/change")]
        response = await send(client, "/login", *urlencoded(pairs))

        assert response.status_code == 422
        assert "This field was sent more than once." in await response.get_data(as_text=True)


async def test_a_client_that_prefers_json_is_refused_in_json(client: TestClientProtocol) -> None:
    for path in ("/register", "/login"):
        response = await client.post(path, form={}, headers={"Accept": "application/json"})

        assert (response.status_code, response.mimetype) == (422, "application/json")
