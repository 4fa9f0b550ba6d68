"""In which language a response is, and how a client chooses it."""

import asyncio
import re
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol

from app.lib.i18n.catalogs import catalog
from support.actions import EMAIL, create_user, log_in, page
from support.app import serving
from support.catalogs import LANGUAGES

pytestmark = pytest.mark.usefixtures("three_languages")

HOST = "http://localhost"
HTML = re.compile(r'<html lang="([^"]*)">')
ACCEPTED = {
    "": "en",
    "DE-at": "de",
    "fr-CA, en;q=0.5": "fr",
    "de;q=0": "en",
    "de;q=0, fr;q=0.1": "fr",
    "*": "en",
    "*, fr;q=0.1": "fr",
    "en-GB;q=0.8, fr;q=0.9": "fr",
    "ja, ko;q=0.9": "en",
    "ja, de;q=0.1, fr;q=0.2": "fr",
    "de, fr": "de",
    "deutsch": "en",
    ",;q=,;;,=": "en",
    "de,;;q=x,": "de",
    "de, " * 2500: "en",
}
REQUESTS_WITH_ERRORS: dict[int, dict[str, Any]] = {
    400: {"method": "GET", "path": "/", "headers": {"Host": "evil.example"}},
    403: {"method": "POST", "path": "/login", "headers": {"Sec-Fetch-Site": "cross-site"}},
    404: {"method": "GET", "path": "/none"},
    405: {"method": "GET", "path": "/logout"},
    413: {"method": "POST", "path": "/login", "data": b"x" * 70_000},
    414: {"method": "GET", "path": "/" + "x" * 300},
    422: {"method": "POST", "path": "/login", "form": {}},
}
FOREIGN_REFERRERS = """
    http://evil.example/about //evil.example/about http://localhost@evil.example/about about:blank
    http://localhost:5000@evil.example/ http://localhost//evil.example/ http://localhost///evil.example
    http://localhost/\\evil.example http://localhost/%2F%2Fevil.example http://localhost.evil.example/
    http://[ http://localhost℀/ http://[::1 javascript:alert(1) x /about \x7f http:/// http://localhost:8/about
    http://user@localhost/about http://localhost?x http://localhost/about\\ https://evil.example/reset/none
    http://localhost/logout http://localhost/language http://localhost/sessions/end-others
    http://localhost/sessions/1/end http://localhost/no-such-page http://localhost/account/none
"""
HOSTILE = ["xx", "", "*", "fr;q=0", '"><script>', "../../etc/passwd", "de\\", "x" * 4000, "%00", "é", "de-<b>", "de'\""]


def language_in(text: str) -> str:
    """Return the language that a page declares, after a check that it is in it."""
    match = HTML.search(text)
    assert match is not None
    assert f">{catalog(match[1]).gettext('Skip to the content')}</a>" in text
    return match[1]


async def language_of(response: Response) -> str:
    return language_in(await response.get_data(as_text=True))


async def choose(client: TestClientProtocol, code: str, referrer: str | None = None) -> Response:
    headers = {"Referer": referrer} if referrer is not None else {}
    return await client.post("/language", form={"language": code}, headers=headers)


async def test_a_response_is_in_the_best_language_that_the_client_accepts(client: TestClientProtocol) -> None:
    for accepted, expected in ACCEPTED.items():
        response = await client.get("/", headers={"Accept-Language": accepted})
        assert await language_of(response) == expected, accepted


async def test_the_cookie_counts_more_than_the_accept_language_header(client: TestClientProtocol) -> None:
    for cookie, expected in [("de", "de"), ("DE", "de"), ("de-AT", "de"), ("xx", "fr"), ("", "fr"), ("d" * 4000, "fr")]:
        client.set_cookie("localhost", "language", cookie)
        assert await language_of(await client.get("/", headers={"Accept-Language": "fr"})) == expected


async def test_simultaneous_requests_have_each_their_own_language(app: Quart) -> None:
    waiting, all_here = [], asyncio.Event()

    async def wait_for_the_others() -> None:
        waiting.append(1)
        if len(waiting) == 30:
            all_here.set()
        await all_here.wait()

    app.before_request(wait_for_the_others)  # after the hook that determines the language
    codes = [LANGUAGES[n % 3] for n in range(30)]
    pages = [app.test_client().get("/", headers={"Accept-Language": code}) for code in codes]

    assert [await language_of(response) for response in await asyncio.gather(*pages)] == codes


async def test_an_error_page_is_in_the_language_of_the_client(app: Quart) -> None:
    for status, request in REQUESTS_WITH_ERRORS.items():
        for code in LANGUAGES:
            client, headers = app.test_client(), request.get("headers", {})
            accepted = {"Accept-Language": f"{code}-XX, en;q=0.1"}
            by_header = await client.open(**request | {"headers": headers | accepted})
            client.set_cookie("localhost", "language", code)
            by_cookie = await client.open(**request)

            found = [(response.status_code, await language_of(response)) for response in (by_header, by_cookie)]
            assert found == [(status, code)] * 2


async def test_a_refused_request_is_not_logged_in_and_only_its_language_cookie_is_read(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)
    await log_in(client)
    client.set_cookie("localhost", "language", "de")
    response = await client.post("/login", headers={"Sec-Fetch-Site": "cross-site"})
    text = await response.get_data(as_text=True)
    assert (response.status_code, language_in(text), EMAIL in text) == (403, "de", False)

    anonymous = app.test_client(use_cookies=False)
    for cookie in ("xlanguage=de", "a=language=de", "language=de-" + "a" * 20, 'language="de"', "x"):
        response = await anonymous.post("/login", headers={"Cookie": cookie, "Sec-Fetch-Site": "cross-site"})
        assert (response.status_code, await language_of(response)) == (403, "en"), cookie


async def test_the_client_returns_to_its_page_in_the_chosen_language(client: TestClientProtocol) -> None:
    for path in ("/", "/login?next=%2Fchange", "/register", "/reset/token.secret"):
        response = await choose(client, "de", HOST + path)

        assert (response.status_code, response.location) == (303, path)
        assert await language_of(await client.get(response.location)) == "de"


async def test_a_choice_redirects_to_no_other_site_and_to_no_page_that_does_not_open(
    client: TestClientProtocol,
) -> None:
    for referrer in ("", *FOREIGN_REFERRERS.split()):
        response = await choose(client, "de", referrer.encode().decode("latin-1"))
        assert (response.status_code, response.location) == (303, "/"), referrer


async def test_only_a_language_of_the_site_can_be_chosen(client: TestClientProtocol) -> None:
    for code in (*HOSTILE, "EN", "de-AT", " de", "../de", "de\r\nSet-Cookie: x=1", "x" * 5000):
        response = await choose(client, code)
        assert (response.status_code, await language_of(response)) == (422, "en"), code
        assert "Set-Cookie" not in response.headers
    bodies: list[dict[str, Any]] = [{"form": {}}, {"form": {"Language": "de"}}, {"json": {"language": "de"}}]
    for sent in [*bodies, {"data": b"\xff\x00"}]:
        assert (await client.post("/language", **sent)).status_code == 422
    assert (await client.get("/language")).status_code == 405


async def test_the_cookie_lasts_half_a_year_and_scripts_cannot_read_it(client: TestClientProtocol) -> None:
    (cookie,) = (await choose(client, "de")).headers.getlist("Set-Cookie")

    attributes = {part for part in cookie.split("; ") if "Expires" not in part}
    assert attributes == {"language=de", "Max-Age=15552000", "HttpOnly", "Path=/", "SameSite=Lax"}


async def test_on_https_only_a_cookie_of_this_host_counts(settings: dict[str, Any]) -> None:
    async with serving(settings | {"BASE_URL": "https://localhost"}) as app:
        (cookie,) = (await choose(app.test_client(), "de")).headers.getlist("Set-Cookie")
        client = app.test_client(use_cookies=False)
        of_neighbour = await client.get("/", headers={"Cookie": "language=fr"})  # another host may set that
        headers = {"Cookie": "language=fr; __Host-language=de", "Sec-Fetch-Site": "cross-site"}
        refused = await client.post("/login", headers=headers)

    assert {"__Host-language=de", "Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert (await language_of(of_neighbour), await language_of(refused)) == ("en", "de")


async def test_the_first_language_of_the_site_is_the_default_and_a_single_one_is_no_choice(
    settings: dict[str, Any],
) -> None:
    for languages in (("fr", "de"), ("fr",)):
        async with serving(settings | {"LANGUAGES": languages}) as app:
            client = app.test_client()
            client.set_cookie("localhost", "language", "en")
            for accepted in ("", "en", "*", "ja"):
                text = await (await client.get("/", headers={"Accept-Language": accepted})).get_data(as_text=True)
                assert (language_in(text), 'action="/language"' in text) == ("fr", "de" in languages)


async def test_each_language_is_offered_by_its_own_name(client: TestClientProtocol) -> None:
    found = re.findall(r'name="language" value="(\w+)" lang="(\w+)"( aria-current="true")?>(\w+)<', await page(client))
    assert found == [
        ("en", "en", ' aria-current="true"', "English"),
        ("de", "de", "", "Deutsch"),
        ("fr", "fr", "", "Français"),
    ]
