"""What bad input gets: a page of ours that refuses it, in time; never a 500, a row, or a character unescaped."""

import json
import signal
import time
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from quart import Quart, Response
from quart.typing import TestClientProtocol

from app.models import User, UserSession
from people import EMAIL, PASSWORD, cookie_of, count, create_user, is_logged_in, log_in, page, register

PASSWORDS = json.loads((Path(__file__).parent / "vectors" / "passwords.json").read_text())
SURROGATES = "\ud800\udc00\ud800"
NASTY = [
    "",
    "x" * 300,
    "x" * 100_000,
    "x\0y@example.com",
    SURROGATES,
    "\u202ex@example.com\u200f",
    "' OR 1=1 --",
    "{{7*7}}",
    "<svg onload=alert(1)>",
    "\"><svg onload=alert(1)>'",
    "x\r\nX-Evil: 1",
    "%00%ED%A0%80",
    "\u0300\u0316" * 5000,
    "\ufdfa" * 4096,
    "18446744073709551616",
    "\x85\u2028\x1c",
]
NEW = "another horse battery staple"
FORMS: dict[str, dict[str, str]] = {  # each would be taken
    "/register": {"email": "new@example.com", "password": PASSWORD, "password_confirm": PASSWORD, "next": "/about"},
    "/login": {"email": EMAIL, "password": PASSWORD, "remember": "y", "next": "/about"},
    "/change": {"password": PASSWORD, "new_password": NEW, "new_password_confirm": NEW},
}
OPTIONAL = {"next", "remember"}
MULTIPART = "multipart/form-data; boundary=XX"
Pairs = list[tuple[str, str]]


class Busy(Exception):
    """The event loop did nothing else for so long that no timeout of its own could ring."""


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """End a test that spins: a guard that never waits would hold up the whole suite for good."""

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise Busy

    former = signal.signal(signal.SIGALRM, ring)
    signal.alarm(15)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


class Page(HTMLParser):
    """The elements of a page as a browser sees them, and what stands in its inputs."""

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


def urlencoded(pairs: Pairs) -> tuple[bytes, str]:
    return urlencode(pairs, errors="surrogatepass").encode(), "application/x-www-form-urlencoded"


def multipart(pairs: Pairs) -> tuple[bytes, str]:
    part = '--XX\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(name, value) for name, value in pairs) + "--XX--\r\n"
    return body.encode(errors="surrogatepass"), MULTIPART


def as_json(pairs: Pairs) -> tuple[bytes, str]:
    return json.dumps(dict(pairs)).encode(), "application/json"


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
    return await client.post(path, data=body, headers=headers)


async def check_refusal(answer: Response, statuses: Iterable[int] = (400, 413, 422)) -> Page:
    """Check that the answer is a page of ours with nothing of the visitor's making in it."""
    text = await answer.get_data(as_text=True)
    assert answer.status_code in statuses, text[:200]
    shown = Page(text)
    assert 'class="wordmark"' in text
    assert "svg" not in shown.tags
    assert "X-Evil" not in answer.headers
    return shown


async def rows(app: Quart) -> tuple[int, int]:
    return await count(app, User), await count(app, UserSession)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("encode", [urlencoded, multipart, as_json])
async def test_a_field_that_is_missing_or_doubled_or_nasty_is_refused(
    app: Quart, client: TestClientProtocol, path: str, encode: Any
) -> None:
    await create_user(app)
    if path == "/change":
        await log_in(client)
    before = await rows(app)

    for pairs in variants(FORMS[path]):
        started = time.monotonic()
        await check_refusal(await send(client, path, *encode(pairs)))
        assert time.monotonic() - started < 2

    assert await rows(app) == before


async def test_a_body_of_100_000_characters_is_413_and_the_site_goes_on(app: Quart, client: TestClientProtocol) -> None:
    answer = await send(client, "/login", b"email=" + b"x" * 100_000, "application/x-www-form-urlencoded")

    await check_refusal(answer, [413])
    assert not await is_logged_in(client)


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_what_was_typed_comes_back_as_it_was_typed(client: TestClientProtocol, path: str) -> None:
    for nasty in (text for text in NASTY if len(text) < 1000 and text != SURROGATES):
        body, kind = urlencoded([("email", nasty), ("password", nasty), ("next", nasty)])
        shown = await check_refusal(await send(client, path, body, kind), [422])

        assert shown.inputs["email"] == nasty.strip(" ")
        assert shown.inputs.get("next", "") == nasty
        assert shown.inputs["password"] == ""


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_parameters_of_the_address_fill_in_nothing_but_next(client: TestClientProtocol, path: str) -> None:
    for nasty in NASTY:
        query = urlencode([(name, nasty) for name in FORMS[path]], errors="surrogatepass")
        shown = await check_refusal(await client.get(f"{path}?{query}"), [200])

        assert shown.inputs["email"] == shown.inputs["password"] == ""
        assert shown.inputs.get("next", "") == (nasty if nasty != SURROGATES else quote(nasty, errors="surrogatepass"))
        await check_refusal(await client.post(f"{path}?{query}"), [422])


async def test_a_stranger_with_a_nasty_query_is_asked_to_log_in(client: TestClientProtocol) -> None:
    for nasty in NASTY:
        answer = await client.get(f"/change?a={quote(nasty, safe='', errors='surrogatepass')}")

        assert answer.status_code == 303
        assert answer.location.startswith("/login?next=/change")
        assert answer.location.isascii()
        assert answer.location.isprintable()


async def test_a_nasty_next_leads_to_the_front_page(app: Quart, client: TestClientProtocol) -> None:
    for number, nasty in enumerate(text for text in NASTY if len(text) < 10_000):
        form = {"email": f"{number}@example.com", "password": PASSWORD, "password_confirm": PASSWORD, "next": nasty}
        for path in ("/register", "/login"):
            answer = await send(client, path, *urlencoded(list(form.items())))

            assert (answer.status_code, answer.location) == (303, "/")


async def test_a_nasty_name_is_shown_as_it_is(app: Quart, client: TestClientProtocol) -> None:
    name = "<svg onload=alert(1)>{{7*7}}"
    await create_user(app, name=name)
    await log_in(client)

    assert f"<strong>&lt;svg onload=alert(1)&gt;{{{{7*7}}}} &lt;{EMAIL}&gt;</strong>" in await page(client)


ACCOUNT = multipart([("email", "q@example.com"), ("password", PASSWORD), ("password_confirm", PASSWORD)])[0]
PART = b"--XX\r\nContent-Disposition: form-data; "
BROKEN: list[tuple[str | None, bytes]] = [
    *((MULTIPART, ACCOUNT[:length]) for length in (0, 4, 30, 200, len(ACCOUNT) - 40)),
    ("multipart/form-data; boundary=YY", ACCOUNT),
    ("multipart/form-data", ACCOUNT),
    ('multipart/form-data; boundary=""', ACCOUNT),
    ("multipart/form-data; boundary=ÿ", ACCOUNT),
    ("multipart/form-data; boundary=" + "X" * 9000, ACCOUNT),
    ("multipart/form-data; boundary*=utf-16''%00%d8; x*1=", ACCOUNT),
    (MULTIPART, PART + b"\r\n\r\nv\r\n--XX--\r\n"),
    (MULTIPART, b"--XX\r\nX-A: b\r\n\r\nv\r\n--XX--\r\n"),
    (MULTIPART, b"--XX\r\nno colon\r\n\r\nv\r\n--XX--\r\n"),
    (MULTIPART, PART + b'name="\xff\xfe\0"\r\n\r\nv\r\n--XX--\r\n'),
    (MULTIPART, PART + b"name*=utf-16''%ff%fe%00%d8; name*9999999999=x\r\n\r\nv\r\n--XX--\r\n"),
    (MULTIPART, PART + b'name="email"\r\nContent-Type: a/b; charset=utf-7\r\n\r\n\xff+ADw-svg+AD4-\r\n--XX--\r\n'),
    (MULTIPART, PART + b'name="email"; filename="x"\r\nContent-Length: -1\r\n\r\nq@example.com\r\n--XX--\r\n'),
    (MULTIPART, PART + b'name="email"\r\n\r\n' + b"\r\n" * 30_000),
    (MULTIPART, PART + b'name="email"\r\n\r\n' + b"\r" * 60_000),
    (MULTIPART, PART + b'name="' + b'\\"' * 30_000 + b"\r\n\r\nv\r\n--XX--\r\n"),
    (MULTIPART, PART + b"a=b;" * 15_000 + b"\r\n\r\nv\r\n--XX--\r\n"),
    (MULTIPART, b"\r\n--X" * 12_000),
    (MULTIPART, multipart([("a", "")] * 1100)[0]),
    ("application/x-www-form-urlencoded", b"email=\xff\xfe&password=\xff"),
    ("application/x-www-form-urlencoded", b"email=%ED%A0%80&password=%FF%&%=%zz"),
    ("application/x-www-form-urlencoded", b"email=&" * 9000),
    ("application/x-www-form-urlencoded; charset=utf-16", "email=q".encode("utf-16")),
    ("application/json", b"[" * 60_000),
    ("application/json", b"\xff"),
    ("application/json", b'{"email": 5, "password": {}}'),
    ("text/plain", urlencoded(list(FORMS["/login"].items()))[0]),
    ("ÿþ;;;=;", b"email=q%40example.com"),
    ("", b"email=q%40example.com"),
    (None, b"email=q%40example.com"),
]


@pytest.mark.parametrize("path", FORMS)
async def test_a_body_that_is_no_form_of_ours_is_refused(app: Quart, client: TestClientProtocol, path: str) -> None:
    await create_user(app)
    if path == "/change":
        await log_in(client)
    before = await rows(app)

    for content_type, body in BROKEN:
        started = time.monotonic()
        await check_refusal(await send(client, path, body, content_type))
        assert time.monotonic() - started < 2

    assert await rows(app) == before


HEADERS = [
    *(text.encode(errors="replace") for text in NASTY if "\r" not in text and len(text) < 20_000),
    b"\xff\xfe\xed\xa0\x80",
    b"text/html;q=nan, application/json;q=1e999",
    b"a/b;q=0." + b"9" * 5000,
    b"a/b," * 4000,
    b"/, */json, ;q=, \"\\, a;b=';",
    b"<svg onload=alert(1)>/{{7*7}};q=1",
]


@pytest.mark.parametrize("name", [b"user-agent", b"cookie", b"accept", b"referer"])
async def test_a_nasty_header_changes_nothing(app: Quart, client: TestClientProtocol, name: bytes) -> None:
    await create_user(app)
    body = urlencode({"email": EMAIL, "password": PASSWORD}).encode()
    for value in HEADERS:
        scope = {"headers": [(b"host", b"localhost"), (name, value)]}
        await check_refusal(await client.get("/login", scope_base=scope), [200])
        await check_refusal(await client.get("/nowhere", scope_base=scope), [404])

        scope["headers"].append((b"content-type", b"application/x-www-form-urlencoded"))
        answer = await client.post("/login", data=body, scope_base=scope)
        assert (answer.status_code, answer.location) == (303, "/")


async def test_a_log_in_keeps_the_first_characters_of_a_long_user_agent(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    for agent in ("x" * 10_000, "ÿ" * 10_000, "<svg onload=alert(1)>\0"):
        form = {"email": EMAIL, "password": PASSWORD}
        answer = await client.post("/login", form=form, headers={"User-Agent": agent})

        assert answer.status_code == 303
        assert await count(app, UserSession, UserSession.user_agent == agent.encode().decode("latin-1")[:255]) == 1


async def test_bytes_that_are_no_text_in_the_query_string_get_a_page_of_ours(client: TestClientProtocol) -> None:
    # HTTP/2 carries any byte here, and Hypercorn speaks it to whoever asks.
    for path in ("/", "/login", "/nowhere"):
        answer = await client.get(path, scope_base={"query_string": b"next=\xff"})

        await check_refusal(answer, [200, 400, 404])


async def sign_up_and_in(app: Quart, email: str, password: str) -> tuple[int, bool]:
    """Return how a registration is answered, and whether a new browser then gets in with the same words."""
    body, kind = urlencoded([("email", email), ("password", password), ("password_confirm", password)])
    answer = await send(app.test_client(), "/register", body, kind)
    other = app.test_client()
    await send(other, "/login", *urlencoded([("email", email), ("password", password)]))
    return answer.status_code, await is_logged_in(other)


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


async def test_nobody_logs_in_with_a_nasty_password(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app, password="{{7*7}} \ufffd\ufffd\ufffd")
    for password in [*NASTY, PASSWORDS["dos"][0], "\U0001d160" * 4096, "{{7*7}} \udcff"]:
        started = time.monotonic()
        await check_refusal(await send(client, "/login", *urlencoded([("email", EMAIL), ("password", password)])))
        assert time.monotonic() - started < 2


@tuned(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(email=st.text(max_size=300), password=st.text(max_size=300), following=st.text(max_size=50), body=st.binary())
async def test_no_text_at_all_breaks_a_form(app: Quart, email: str, password: str, following: str, body: bytes) -> None:
    client = app.test_client()
    pairs = [("email", email), ("password", password), ("password_confirm", password + "!"), ("next", following)]
    for path in ("/register", "/login"):
        await check_refusal(await send(client, path, *urlencoded(pairs)), [422])
        await check_refusal(await send(client, path, *multipart(pairs)), [422])
        await check_refusal(await send(client, path, body, "application/x-www-form-urlencoded"), [422])
        await check_refusal(await send(client, path, b"--XX" + body, MULTIPART), [400, 413, 422])


async def test_a_form_that_says_where_to_go_twice_says_what_is_wrong(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    for name in ("next", "remember"):
        pairs = [("email", EMAIL), ("password", PASSWORD), (name, "/about"), (name, "/change")]
        answer = await send(client, "/login", *urlencoded(pairs))

        assert answer.status_code == 422
        assert "This field was sent more than once." in await answer.get_data(as_text=True)


async def test_a_program_that_asks_for_json_gets_its_refusal_as_json(client: TestClientProtocol) -> None:
    for path in ("/register", "/login"):
        answer = await client.post(path, form={}, headers={"Accept": "application/json"})

        assert (answer.status_code, answer.mimetype) == (422, "application/json")


async def test_a_copied_form_body_carries_no_cookie_of_its_own(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await log_in(client)
    stolen = cookie_of(client)

    answer = await send(app.test_client(), "/change", *urlencoded([("auth", stolen), ("password", PASSWORD)]))

    assert answer.status_code == 303
    assert answer.location.startswith("/login")
