"""In which language the site answers, and how a person chooses it."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from quart import Quart, Response
from quart.typing import TestClientProtocol

from app import languages
from app.app_factory import create_app
from app.config import ConfigError
from app.languages import catalogue
from conftest import serving
from letters_read import link
from people import EMAIL, create_user, log_in, page, register

SPOKEN = ("en", "de", "fr")
HOST = "http://localhost"
HTML = re.compile(r'<html lang="([^"]*)">')
CODES = [*SPOKEN, "de-AT", "xx", "", "*", "fr;q=0", '"><script>', "../../etc/passwd", "de\\", "x" * 4000, "%00", "é"]
FUZZED = tuned(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
# A line break gets past no server.
HEADER = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=300)
ACCEPTED = HEADER | st.lists(
    st.tuples(st.sampled_from([*CODES, "en-GB@euro", "de-Latn-AT.utf8", "fr-1996"]), st.floats() | st.integers())
).map(lambda some: ", ".join(f"{code};q={quality}" for code, quality in some).encode().decode("latin-1"))


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: the language of a page does not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


def spoken_in(text: str) -> str:
    """Return the language that a page says it is in, once it was seen to be in it."""
    match = HTML.search(text)
    assert match is not None
    # The longer one stands on every page, the other on what is shown to who cannot be known.
    assert f">{catalogue(match[1]).gettext('Skip to the content')}</a>" in text
    return match[1]


async def language_of(answer: Response) -> str:
    return spoken_in(await answer.get_data(as_text=True))


async def choose(client: TestClientProtocol, code: str, referer: str | None = None) -> Response:
    headers = {"Referer": referer} if referer is not None else {}
    return await client.post("/language", form={"language": code}, headers=headers)


# Which language it is


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-at", "de"),
        ("fr-CA, en;q=0.5", "fr"),
        ("de;q=0", "en"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("*", "en"),
        ("*, fr;q=0.1", "fr"),
        ("en-GB;q=0.8", "en"),
        ("en-GB;q=0.8, fr;q=0.9", "fr"),
        ("ja, ko;q=0.9", "en"),
        ("ja, de;q=0.1, fr;q=0.2", "fr"),
        ("de, fr", "de"),
        ("deutsch", "en"),
        (",;q=,;;,=", "en"),
        ("de,;;q=x,", "de"),
        ("de, " * 2500, "en"),
    ],
)
async def test_the_language_is_the_best_that_the_browser_asks_for(
    client: TestClientProtocol, accepted: str, expected: str
) -> None:
    answer = await client.get("/", headers={"Accept-Language": accepted})

    assert await language_of(answer) == expected


async def test_of_many_headers_the_first_counts(app: Quart) -> None:
    header = [(b"accept-language", code) for code in [b"fr", *[b"de"] * 500]]
    answer = await app.test_client().get("/", scope_base={"headers": [(b"host", b"localhost"), *header]})

    assert await language_of(answer) == "fr"


@pytest.mark.parametrize(
    ("cookie", "expected"), [("de", "de"), ("DE", "de"), ("de-AT", "de"), ("xx", "fr"), ("", "fr"), ("d" * 4000, "fr")]
)
async def test_a_cookie_counts_more_than_what_the_browser_asks_for(
    client: TestClientProtocol, cookie: str, expected: str
) -> None:
    client.set_cookie("localhost", "language", cookie)

    assert await language_of(await client.get("/", headers={"Accept-Language": "fr"})) == expected


async def test_who_asks_for_nothing_gets_the_first_language(settings: dict[str, Any]) -> None:
    async with serving(settings | {"LANGUAGES": ("fr", "de")}) as app:
        for accepted in ("", "en", "*", "ja"):
            assert await language_of(await app.test_client().get("/", headers={"Accept-Language": accepted})) == "fr"


@pytest.mark.parametrize("code", SPOKEN)
async def test_every_page_says_which_language_it_is_in(app: Quart, client: TestClientProtocol, code: str) -> None:
    await create_user(app)
    await choose(client, code)

    for path in ("/", "/about", "/login", "/register", "/reset", "/no-such-page", "/static/none.css", "/reset/none"):
        assert await language_of(await client.get(path)) == code, path
    await log_in(client)
    for path in ("/account", "/sessions", "/account/activity", "/change", "/account/delete", "/dev/mailbox"):
        answer = await client.get(path, scope_base={"client": ("127.0.0.1", 4711)})
        assert (answer.status_code, await language_of(answer)) == (200, code), path


async def test_two_at_once_do_not_mix_their_languages(app: Quart) -> None:
    waiting, all_here = [], asyncio.Event()

    async def wait_for_the_others() -> None:
        waiting.append(1)
        if len(waiting) == 30:
            all_here.set()
        await all_here.wait()

    app.before_request(wait_for_the_others)  # after the hook that finds out the language
    codes = [SPOKEN[n % 3] for n in range(30)]
    pages = [app.test_client().get("/", headers={"Accept-Language": code}) for code in codes]

    assert [await language_of(answer) for answer in await asyncio.gather(*pages)] == codes


async def test_a_shared_cache_is_told_on_what_a_page_depends(client: TestClientProtocol) -> None:
    answer = await client.get("/")

    assert answer.headers["Cache-Control"] == "no-store"
    assert {"Cookie", "Accept-Language"} <= set(answer.vary)


# Errors


@pytest.mark.parametrize("code", SPOKEN)
@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, {"method": "GET", "path": "/", "headers": {"Host": "evil.example"}}),
        (403, {"method": "POST", "path": "/login", "headers": {"Sec-Fetch-Site": "cross-site"}}),
        (404, {"method": "GET", "path": "/none"}),
        (405, {"method": "GET", "path": "/logout"}),
        (413, {"method": "POST", "path": "/login", "data": b"x" * 70_000}),
        (414, {"method": "GET", "path": "/" + "x" * 300}),
        (422, {"method": "POST", "path": "/login", "form": {}}),
    ],
)
async def test_a_refusal_speaks_the_readers_language(
    client: TestClientProtocol, status: int, request_: dict[str, Any], code: str
) -> None:
    headers = request_.get("headers", {})
    asked = await client.open(**request_ | {"headers": headers | {"Accept-Language": f"{code}-XX, en;q=0.1"}})
    client.set_cookie("localhost", "other", "1")
    client.set_cookie("localhost", "language", code)
    chosen = await client.open(**request_)

    assert [(answer.status_code, await language_of(answer)) for answer in (asked, chosen)] == [(status, code)] * 2


async def test_of_a_refused_request_only_the_language_is_believed(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await log_in(client)
    client.set_cookie("localhost", "language", "de")

    text = await (await client.post("/login", data=b"x" * 70_000)).get_data(as_text=True)

    assert spoken_in(text) == "de"
    assert EMAIL not in text


@pytest.mark.parametrize("cookie", ["xlanguage=de", "a=language=de", "language=de-" + "a" * 20, 'language="de"', "x"])
async def test_a_refusal_reads_no_other_cookie(app: Quart, cookie: str) -> None:
    headers = {"Cookie": cookie, "Sec-Fetch-Site": "cross-site"}
    answer = await app.test_client(use_cookies=False).post("/login", headers=headers)

    assert (answer.status_code, await language_of(answer)) == (403, "en")


@pytest.mark.parametrize(
    ("accepted", "words"), [("de", "in 5 Minuten noch"), ("fr", "dans 5 minutes"), ("en", "in 5 minutes.")]
)
async def test_too_many_tries_say_how_long_to_wait(settings: dict[str, Any], accepted: str, words: str) -> None:
    async with serving(settings | {"THROTTLE_LOG_INS_PER_ADDRESS": "1 per 5 minutes"}) as app:
        client, headers = app.test_client(), {"Accept-Language": accepted}
        await client.post("/login", form={"email": EMAIL, "password": "wrong"}, headers=headers)
        answer = await client.post("/login", form={"email": EMAIL, "password": "wrong"}, headers=headers)

    text = (await answer.get_data(as_text=True)).replace("\N{NO-BREAK SPACE}", " ")
    assert answer.status_code == 429
    assert words in text
    assert spoken_in(text) == accepted


@pytest.mark.parametrize("code", SPOKEN)
async def test_a_program_is_told_in_its_language(client: TestClientProtocol, code: str) -> None:
    answer = await client.get("/api/none", headers={"Accept-Language": code})

    error = (await answer.get_json())["error"]
    assert error["code"] == "not_found"
    assert error["message"].startswith(catalogue(code).gettext("There is no such page"))


async def test_a_crash_speaks_the_readers_language(app: Quart, client: TestClientProtocol) -> None:
    async def crash() -> None:
        raise ZeroDivisionError

    app.before_request(crash)
    answer = await client.get("/", headers={"Accept-Language": "fr"})

    assert (answer.status_code, await language_of(answer)) == (500, "fr")


# Choosing


@pytest.mark.parametrize("path", ["/", "/about", "/login?next=%2Fchange", "/register", "/reset"])
async def test_choosing_a_language_leads_back_to_the_page(client: TestClientProtocol, path: str) -> None:
    answer = await choose(client, "de", HOST + path)

    assert (answer.status_code, answer.location) == (303, path)
    assert await language_of(await client.get(answer.location)) == "de"


REFERERS = ["http://evil.example/about", "//evil.example/about", "http://localhost@evil.example/about", "about:blank"]
REFERERS += [
    "http://localhost:5000@evil.example/",
    "http://localhost//evil.example/",
    "http://localhost///evil.example",
]
REFERERS += ["http://localhost/\\evil.example", "http://localhost/%2F%2Fevil.example", "http://localhost.evil.example/"]
REFERERS += [
    "http://[",
    "http://localhost℀/",
    "http://[::1",
    "javascript:alert(1)",
    "",
    "x",
    "/about",
    "\x7f",
    "http:///",
]
REFERERS += [
    "http://localhost:8/about",
    "http://user@localhost/about",
    "http://localhost?x",
    "http://localhost/about\\",
]
ONLY_SENT = ["/logout", "/language", "/sessions/end-others", "/sessions/1/end", "/no-such-page", "/account/none"]


@pytest.mark.parametrize("referer", [*REFERERS, *[HOST + path for path in ONLY_SENT]])
async def test_choosing_a_language_leads_nowhere_else(client: TestClientProtocol, referer: str) -> None:
    answer = await choose(client, "de", referer.encode().decode("latin-1"))

    assert (answer.status_code, answer.location) == (303, "/")


@FUZZED
@given(rest=HEADER)
async def test_whatever_the_page_before_was_the_way_leads_to_this_site(client: TestClientProtocol, rest: str) -> None:
    for referer in (rest, HOST + rest, f"{HOST}/login{rest}"):
        answer = await choose(client, "de", referer)
        assert answer.status_code == 303
        assert re.fullmatch(r"/(?![/\\])[!-~]*", answer.location or "")


async def test_the_token_of_a_mailed_link_stays_on_this_site(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await client.post("/reset", form={"email": EMAIL})
    path = await link(app, "reset")

    answer = await choose(client, "de", HOST + path)
    elsewhere = await choose(client, "de", f"https://evil.example{path}")

    assert (answer.location, elsewhere.location) == (path, "/")
    assert await language_of(await client.get(path)) == "de"


async def test_another_site_chooses_nobodys_language(client: TestClientProtocol) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
    ):
        answer = await client.post("/language", form={"language": "de"}, headers=headers)
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": HOST}):
        assert (await client.post("/language", form={"language": "de"}, headers=headers)).status_code == 303


@pytest.mark.parametrize("code", ["xx", "", "EN", "de-AT", " de", "../de", "de\r\nSet-Cookie: x=1", "<b>", "x" * 5000])
async def test_a_language_that_is_not_spoken_cannot_be_chosen(client: TestClientProtocol, code: str) -> None:
    answer = await choose(client, code)

    assert (answer.status_code, await language_of(answer)) == (422, "en")
    assert "Set-Cookie" not in answer.headers


async def test_a_form_without_a_language_is_no_choice(client: TestClientProtocol) -> None:
    bodies: list[dict[str, Any]] = [{"form": {}}, {"form": {"Language": "de"}}, {"json": {"language": "de"}}]
    for sent in [*bodies, {"data": b"\xff\x00"}]:
        assert (await client.post("/language", **sent)).status_code == 422
    assert (await client.get("/language")).status_code == 405


async def test_the_cookie_lasts_half_a_year_and_is_read_by_no_script(client: TestClientProtocol) -> None:
    (cookie,) = (await choose(client, "de")).headers.getlist("Set-Cookie")

    first, *attributes = cookie.split("; ")
    assert first == "language=de"
    assert {part for part in attributes if "Expires" not in part} == {
        "Max-Age=15552000",
        "HttpOnly",
        "Path=/",
        "SameSite=Lax",
    }


async def test_on_https_the_cookie_is_of_this_host_alone(settings: dict[str, Any]) -> None:
    async with serving(settings | {"BASE_URL": "https://localhost"}) as app:
        client = app.test_client()
        answer = await choose(client, "de")
        (cookie,) = answer.headers.getlist("Set-Cookie")
        stranger = app.test_client(use_cookies=False)
        neighbour = await stranger.get("/", headers={"Cookie": "language=fr"})  # one on plain http may set that
        headers = {"Cookie": "language=fr; __Host-language=de", "Sec-Fetch-Site": "cross-site"}
        refused = await stranger.post("/login", headers=headers)

    assert cookie.startswith("__Host-language=de; ")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert (await language_of(neighbour), await language_of(refused)) == ("en", "de")


async def test_a_site_of_one_language_offers_no_choice(settings: dict[str, Any]) -> None:
    async with serving(settings | {"LANGUAGES": ("de",)}) as app:
        client = app.test_client()
        client.set_cookie("localhost", "language", "fr")
        text = await (await client.get("/", headers={"Accept-Language": "fr, en"})).get_data(as_text=True)
        answer = await choose(client, "fr")

    assert spoken_in(text) == "de"
    assert 'action="/language"' not in text
    assert answer.status_code == 422


async def test_the_chooser_names_each_language_as_its_speakers_do(client: TestClientProtocol) -> None:
    text = await page(client)

    found = re.findall(r'name="language" value="(\w+)" lang="(\w+)"( aria-current="true")?>(\w+)<', text)
    assert found == [
        ("en", "en", ' aria-current="true"', "English"),
        ("de", "de", "", "Deutsch"),
        ("fr", "fr", "", "Français"),
    ]


# Hostile values


@FUZZED
@given(accepted=ACCEPTED, cookie=HEADER, zone=HEADER)
async def test_no_header_and_no_cookie_breaks_a_page(app: Quart, accepted: str, cookie: str, zone: str) -> None:
    sent = {"Accept-Language": accepted, "Cookie": f"language={cookie}; timezone={zone}"}
    answer = await app.test_client(use_cookies=False).get("/", headers=sent)

    assert answer.status_code == 200
    assert await language_of(answer) in SPOKEN


@pytest.mark.parametrize(
    "zone", [*CODES, "Europe", "Europe/Nowhere", "leapseconds", "+VERSION", "Europe%2FBerlin", "/"]
)
async def test_no_zone_breaks_the_page_of_a_person(client: TestClientProtocol, zone: str) -> None:
    await register(client)
    client.set_cookie("localhost", "timezone", zone)

    answer = await client.get(
        "/account/activity", headers={"Accept-Language": f"{zone},de-{zone},de".encode().decode("latin-1")}
    )

    assert answer.status_code == 200
    assert ("UTC" in await answer.get_data(as_text=True)) is (zone != "Europe%2FBerlin")


@pytest.mark.parametrize("value", ['de"><script>alert(1)</script>', "de-<b>", "de'\"", "de-&amp;"])
async def test_a_language_is_never_written_as_it_came(client: TestClientProtocol, value: str) -> None:
    client.set_cookie("localhost", "language", value)
    answer = await client.get("/", headers={"Accept-Language": value})
    text = await answer.get_data(as_text=True)

    assert value not in text
    assert value not in str(answer.headers)


# What stops the start


@pytest.mark.parametrize(
    "names",
    [(), "", " , ", ["", ""], "xx", "klingon", "de,es", "../../etc", "EN", "de_DE", "en-GB", "x" * 5000, "d\0e"],
)
def test_a_language_without_a_catalogue_stops_the_start(settings: dict[str, Any], names: Any) -> None:
    with pytest.raises(ConfigError, match="LANGUAGES") as refused:
        create_app(settings | {"LANGUAGES": names})

    assert "\n" not in str(refused.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder in which catalogues are looked for."""
    monkeypatch.setattr(languages, "FOLDER", tmp_path)
    catalogue.cache_clear()
    yield tmp_path
    catalogue.cache_clear()


@pytest.mark.parametrize("kept", [0, 4, 19, 5000])
def test_a_catalogue_that_was_cut_short_stops_the_start(settings: dict[str, Any], folder: Path, kept: int) -> None:
    whole = (Path(languages.__file__).parent / "translations/de/LC_MESSAGES/messages.mo").read_bytes()
    (folder / "de/LC_MESSAGES").mkdir(parents=True)
    (folder / "de/LC_MESSAGES/messages.mo").write_bytes(whole[:kept])

    with pytest.raises(ConfigError, match="'de', which has no compiled catalogue"):
        create_app(settings | {"LANGUAGES": ("en", "de")})
