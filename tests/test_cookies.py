"""What a cookie that is not ours, or not whole, is worth: nothing. The page is the one that a stranger sees."""

from hashlib import sha512
from typing import Any

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode
from quart import Quart
from quart.sessions import SecureCookieSessionInterface
from quart.typing import TestClientProtocol

from app.app_factory import create_app
from conftest import SECRET_KEY
from people import cookie_of, create_user, is_logged_in, log_in, page, register, thief_with

SALT = "quart auth salt"
FORMER_KEY = "the-key-of-last-year-is-long-enough-to-be-a-key"
FLASH_SALT = "cookie-session"
STRANGER = "You are not logged in."


def signed(value: Any, *, key: str = SECRET_KEY, salt: str = SALT) -> str:
    """Sign what stands in a log-in cookie, as quart-auth does."""
    token: str | bytes = URLSafeTimedSerializer(key, salt, signer_kwargs={"digest_method": sha512}).dumps(value)
    return token if isinstance(token, str) else token.decode()


def signed_payload(payload: bytes) -> bytes:
    """Sign what quart-auth would not."""
    return TimestampSigner(SECRET_KEY, SALT, digest_method=sha512, key_derivation="django-concat").sign(payload)


def secret_in(cookie: str) -> str:
    secret: str = URLSafeTimedSerializer(SECRET_KEY, SALT, signer_kwargs={"digest_method": sha512}).loads(cookie)
    return secret


async def answer_to(app: Quart, *cookies: bytes) -> tuple[int, str]:
    """Return how the front page and a page behind the log-in answer to whole Cookie headers."""
    client = app.test_client(use_cookies=False)
    scope = {"headers": [(b"host", b"localhost"), *((b"cookie", cookie) for cookie in cookies)]}
    front = await client.get("/", scope_base=scope)
    inside = await client.get("/change", scope_base=scope)
    assert (inside.status_code == 200) is (
        front.status_code == 200 and "Logged in as" in await front.get_data(as_text=True)
    )
    return front.status_code, await front.get_data(as_text=True)


async def check_stranger(app: Quart, *cookies: bytes) -> None:
    status, text = await answer_to(app, *cookies)
    assert status == 200, cookies
    assert STRANGER in text, cookies


async def test_a_cookie_that_was_cut_anywhere_is_a_strangers(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    cookie = cookie_of(client).encode()

    for length in range(0, len(cookie), 17):
        await check_stranger(app, b"auth=" + cookie[:length])
        await check_stranger(app, b"auth=" + cookie[length + 1 :])
    assert "Logged in as" in (await answer_to(app, b"auth=" + cookie))[1]


async def test_a_true_secret_under_another_key_or_salt_is_a_strangers(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    secret = secret_in(cookie_of(client))

    for token in (
        signed(secret, key=FORMER_KEY),
        signed(secret, key=""),
        signed(secret, key=SECRET_KEY.upper()),
        signed(secret, salt="another salt"),
        signed(secret, salt=FLASH_SALT),
        URLSafeTimedSerializer(SECRET_KEY, SALT).dumps(secret),
        secret,
    ):
        await check_stranger(app, b"auth=" + str(token).encode())
    assert await is_logged_in(thief_with(app, signed(secret)))


async def test_an_unknown_text_under_our_key_is_a_strangers(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    row_ids = ["0", "1", "2", "-1", "18446744073709551616"]
    for text in [
        *row_ids,
        "",
        " ",
        "%",
        "' OR 1=1 --",
        "\0",
        "\ufffd",
        "é" * 3000,
        "x" * 9000,
        secret_in(cookie_of(client)) + " ",
    ]:
        await check_stranger(app, b"auth=" + signed(text).encode())


async def test_what_is_no_text_under_our_key_is_a_strangers(app: Quart) -> None:
    for value in ["0", "1", "-1", str(2**70), "1.5", "true", "[]", '["x"]', '{"id": 1}', '"\\ud800"']:
        token = signed_payload(base64_encode(value))
        await check_stranger(app, b"auth=" + token)

        assert (await thief_with(app, token.decode()).post("/logout")).status_code == 303


async def test_nothing_under_our_key_is_a_strangers(app: Quart) -> None:
    await check_stranger(app, b"auth=" + signed(None).encode())


async def test_what_is_no_json_under_our_key_is_a_strangers(app: Quart) -> None:
    for payload in [b"", b"garbage", b"bnVsbA", b".eJw", b"\xff"]:
        await check_stranger(app, b"auth=" + signed_payload(payload))


NONSENSE = [
    b"auth",
    b"auth=",
    b'auth=""',
    b"=auth; ;;=;auth==",
    b"auth=" + b"x" * 9000,
    b"auth=" + b"." * 9000,
    b"auth=." + b"x" * 9000 + b".x.x",
    b"auth=" + b"a.b.c; auth=" * 700,
    b"auth=\xff\xfe\xed\xa0\x80.\xff.\xff",
    b'auth="\\377\\000\\355\\240\\200.x.y"',
    b"auth=%FF%00.%ED%A0%80",
    "auth=\u202eevil\u200f.é.😀".encode(),
    b"auth=<svg onload=alert(1)>.{{7*7}}.' OR 1=1 --",
    b"AUTH=x; Auth=y; auth =z",
    b"; ".join(b"c%d=x" % n for n in range(2000)),
]


@pytest.mark.parametrize("name", [b"auth", b"session"])
async def test_a_cookie_that_is_nonsense_is_a_strangers_and_never_shown(app: Quart, name: bytes) -> None:
    for cookie in NONSENSE:
        await check_stranger(app, cookie.replace(b"auth", name))
        assert "<svg" not in (await answer_to(app, cookie.replace(b"auth", name)))[1]


async def test_nonsense_beside_a_log_in_leaves_it_alone(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    cookie = cookie_of(client).encode()

    for other in (*(nonsense.replace(b"auth", b"session") for nonsense in NONSENSE), b"\xff=\xff"):
        assert "Logged in as" in (await answer_to(app, b"auth=" + cookie, other))[1], other


async def test_of_several_cookies_of_one_name_the_first_counts(app: Quart) -> None:
    ada, eve = app.test_client(), app.test_client()
    await register(ada)
    await register(eve, email="eve@example.com")
    hers, mine = (b"auth=" + cookie_of(client).encode() for client in (ada, eve))

    for headers in ([hers, mine], [hers + b"; " + mine], [hers, b"auth=x"], [hers + b"; auth=x; auth="]):
        assert "<strong>ada@example.com</strong>" in (await answer_to(app, *headers))[1]
    for headers in ([b"auth=x", hers], [b"auth=; " + hers]):
        await check_stranger(app, *headers)


async def test_a_person_with_a_nasty_cookie_can_log_in(app: Quart) -> None:
    await create_user(app)
    for cookie in (b"auth=x", b"auth=\xff; session=\xff", b"auth=" + signed("unknown").encode()):
        form = b"email=ada%40example.com&password=correct+horse+battery+staple"
        headers = [
            (b"host", b"localhost"),
            (b"cookie", cookie),
            (b"content-type", b"application/x-www-form-urlencoded"),
        ]
        client = app.test_client()

        assert (await client.post("/login", data=form, scope_base={"headers": headers})).status_code == 303
        assert await is_logged_in(client)


async def test_a_cookie_under_a_former_key_counts_while_the_key_is_kept(
    settings: dict[str, Any], app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    old = cookie_of(client)
    changed = {**settings, "SECRET_KEY": FORMER_KEY[::-1]}

    former, later = create_app({**changed, "SECRET_KEY_FALLBACKS": [SECRET_KEY]}), create_app(changed)

    async with former.test_app():
        assert await is_logged_in(thief_with(former, old))
        fresh = former.test_client()
        await log_in(fresh)
    async with later.test_app():
        assert not await is_logged_in(thief_with(later, old))
        assert await is_logged_in(thief_with(later, cookie_of(fresh)))


async def test_a_copied_cookie_is_dead_after_the_browser_logged_out(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    thief = thief_with(app, cookie_of(client))
    assert await is_logged_in(thief)

    await client.post("/logout")

    assert not await is_logged_in(thief)
    assert (await thief.get("/change")).status_code == 303


def flash_cookie(app: Quart, content: Any, *, key: str = SECRET_KEY) -> bytes:
    """Sign what stands in the cookie of the flashed messages, as Quart does."""
    interface = app.session_interface
    assert isinstance(interface, SecureCookieSessionInterface)
    serializer = interface.get_signing_serializer(app)
    assert serializer is not None
    serializer.secret_keys = [key.encode()]
    value = serializer.dumps(content)
    return b"session=" + (value if isinstance(value, bytes) else value.encode())


async def test_a_flashed_message_is_escaped(app: Quart) -> None:
    message = "<svg onload=alert(1)>{{7*7}}"
    shown = (await answer_to(app, flash_cookie(app, {"_flashes": [("message", message)]})))[1]

    assert "&lt;svg onload=alert(1)&gt;{{7*7}}" in shown
    assert "<svg" not in shown


async def test_a_flashed_message_under_another_key_is_not_shown(app: Quart) -> None:
    cookie = flash_cookie(app, {"_flashes": [("message", "Call 555-EVIL")]}, key=FORMER_KEY)

    assert "EVIL" not in (await answer_to(app, cookie))[1]
    await check_stranger(app, cookie)


async def test_the_parts_of_two_cookies_do_not_make_a_third(app: Quart) -> None:
    ada, eve = app.test_client(), app.test_client()
    await register(ada)
    await register(eve, email="eve@example.com")
    hers, mine = (cookie_of(client).split(".") for client in (ada, eve))

    for mixed in range(1, 7):  # which of payload, time and signature are Ada's; 0 and 7 are whole cookies
        parts = [hers[n] if mixed >> n & 1 else mine[n] for n in range(3)]
        if parts not in (hers, mine):  # the two may have come in one second
            await check_stranger(app, b"auth=" + ".".join(parts).encode())


async def test_two_whole_cookies_that_change_places_are_the_other_persons(app: Quart) -> None:
    ada, eve = app.test_client(), app.test_client()
    await register(ada)
    await register(eve, email="eve@example.com")

    assert "<strong>eve@example.com</strong>" in await page(thief_with(app, cookie_of(eve)))
    assert "<strong>ada@example.com</strong>" in await page(thief_with(app, cookie_of(ada)))
