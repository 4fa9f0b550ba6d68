"""Bad input gets a page that refuses it, in time: never a 500, a row, or an unescaped character."""

import json
import time
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol

from app.models import User, UserSession
from support.actions import EMAIL, PASSWORD, can_log_in, count, create_user, enter, is_logged_in, log_in, register
from support.hostile_input import BROKEN, FORMS, HEADERS, NASTY, SURROGATES, Pairs, as_json, multipart, urlencoded

PASSWORDS = json.loads((Path(__file__).parent / "vectors" / "passwords.json").read_text())
OPTIONAL = {"next", "remember"}
MAX_SECONDS = 10  # far more than the slowest request takes, and far less than one whose reading is quadratic


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


def incomplete(form: dict[str, str]) -> Iterator[Pairs]:
    """Yield the form with each field in turn doubled and, where it is required, missing."""
    for name, good in form.items():
        others = [(other, value) for other, value in form.items() if other != name]
        yield [*others, (name, good), (name, good)]
        if name not in OPTIONAL:
            yield others


async def send(client: TestClientProtocol, path: str, body: bytes, content_type: str | None) -> Response:
    headers, began = {} if content_type is None else {"Content-Type": content_type}, time.monotonic()
    response = await client.post(path, data=body, headers=headers)
    assert time.monotonic() - began < MAX_SECONDS
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
async def test_a_field_that_is_missing_or_doubled_or_nasty_is_refused(app: Quart, path: str) -> None:
    await create_user(app)
    client, form = (await enter(app) if path == "/change" else app.test_client()), FORMS[path]
    before = await rows(app)

    bodies = [encode(pairs) for encode, pairs in product((urlencoded, multipart, as_json), incomplete(form))]
    bodies += [multipart([(name, nasty) for name in form]) for nasty in NASTY]
    for name, nasty in product(form.keys() - OPTIONAL, NASTY):
        bodies.append(urlencoded(list((form | {name: nasty}).items())))
    for body, content_type in bodies:
        await check_refusal(await send(client, path, body, content_type))

    assert await rows(app) == before


async def test_a_body_that_is_no_form_is_refused(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    for path, (content_type, body) in product(("/register", "/login"), BROKEN):
        await check_refusal(await send(client, path, body, content_type))

    assert await rows(app) == (1, 0)


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_what_was_typed_comes_back_as_it_was_typed(client: TestClientProtocol, path: str) -> None:
    for nasty in (text for text in NASTY if len(text) < 1000 and text != SURROGATES):
        body, kind = urlencoded([("email", nasty), ("password", nasty), ("next", nasty)])
        shown = await check_refusal(await send(client, path, body, kind), [422])

        assert shown.inputs["email"] == nasty.strip(" ")
        assert shown.inputs.get("next", "") == nasty
        assert shown.inputs["password"] == ""


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_the_query_fills_in_nothing_but_next(app: Quart, client: TestClientProtocol, path: str) -> None:
    for nasty in NASTY:
        query = urlencode([(name, nasty) for name in FORMS[path]], errors="surrogatepass")
        shown = await check_refusal(await client.get(f"{path}?{query}"), [200])

        assert shown.inputs["email"] == shown.inputs["password"] == ""
        assert shown.inputs.get("next", "") == (nasty if nasty != SURROGATES else quote(nasty, errors="surrogatepass"))

    await create_user(app)
    await check_refusal(await client.post(f"{path}?{urlencode(FORMS[path])}"), [422])


async def test_a_nasty_header_changes_nothing(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    body, content_type = urlencoded([("email", EMAIL), ("password", PASSWORD)])
    for value in HEADERS:
        nasty = [(name, value) for name in (b"user-agent", b"cookie", b"accept", b"referer")]
        scope = {"headers": [(b"host", b"localhost"), *nasty]}
        await check_refusal(await client.get("/login", scope_base=scope), [200])
        await check_refusal(await client.get("/nowhere", scope_base=scope), [404])

        scope["headers"].append((b"content-type", content_type.encode()))
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


async def test_any_text_of_8_to_256_characters_may_be_a_password(app: Quart) -> None:
    good = [*PASSWORDS["must_accept"], "' OR 1=1 --", "<svg onload=alert(1)>", "{{7*7}}{{7*7}}", "\U0001f600" * 8]
    for number, password in enumerate(good):
        email = f"{number}@example.com"
        await register(app.test_client(), email=email, password=password)
        assert await can_log_in(app, email, password), password

    bad = [password.replace("the account e-mail itself", EMAIL) for password in PASSWORDS["must_reject"]]
    bad += [*PASSWORDS["dos"], "A" * 4001, "x" * 257, "eight\0eight", "\ufffd" * 8, "\ufb2c" * 256]
    for password in bad:
        body = urlencoded([("email", EMAIL), ("password", password), ("password_confirm", password)])
        await check_refusal(await send(app.test_client(), "/register", *body), [422])
    assert await count(app, User) == len(good)


async def test_passwords_that_look_alike_are_the_same_and_others_are_not(app: Quart) -> None:
    pairs = [(pair, True) for pair in PASSWORDS["normalisation_pairs_same"]]
    pairs += [(pair, False) for pair in PASSWORDS["must_differ"] if all(pair)]
    for number, ((one, other), same) in enumerate(pairs):
        await register(app.test_client(), email=f"{number}@example.com", password=one)

        client = app.test_client()
        await log_in(client, email=f"{number}@example.com", password=other)
        assert await is_logged_in(client) is same, (one, other)
