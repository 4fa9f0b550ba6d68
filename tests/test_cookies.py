"""A cookie that is forged, cut or nonsense is no session: the response is the one without a cookie."""

from hashlib import sha512
from typing import Any

from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode
from quart import Quart
from quart.sessions import SecureCookieSessionInterface
from quart.typing import TestClientProtocol

from support.actions import attacker_with, cookie_of, create_user, enter, is_logged_in, register
from support.app import SECRET_KEY, serving

SALT = "quart auth salt"
FORMER_KEY = "the-key-of-last-year-is-long-enough-to-be-a-key"
FLASH_SALT = "cookie-session"
NO_SESSION = "You are not logged in."


def signed(value: Any, *, key: str = SECRET_KEY, salt: str = SALT) -> str:
    """Sign the contents of a session cookie, as quart-auth does."""
    token: str | bytes = URLSafeTimedSerializer(key, salt, signer_kwargs={"digest_method": sha512}).dumps(value)
    return token if isinstance(token, str) else token.decode()


def signed_payload(payload: bytes) -> bytes:
    """Sign what quart-auth would not sign."""
    return TimestampSigner(SECRET_KEY, SALT, digest_method=sha512, key_derivation="django-concat").sign(payload)


def token_in(cookie: str) -> str:
    token: str = URLSafeTimedSerializer(SECRET_KEY, SALT, signer_kwargs={"digest_method": sha512}).loads(cookie)
    return token


async def front_page(app: Quart, *cookies: bytes) -> tuple[int, str]:
    """Return the front page for whole Cookie headers; a page that needs a login has to agree with it."""
    client = app.test_client(use_cookies=False)
    scope = {"headers": [(b"host", b"localhost"), *((b"cookie", cookie) for cookie in cookies)]}
    front = await client.get("/", scope_base=scope)
    inside = await client.get("/change", scope_base=scope)
    assert (inside.status_code == 200) is (
        front.status_code == 200 and "Logged in as" in await front.get_data(as_text=True)
    )
    return front.status_code, await front.get_data(as_text=True)


async def check_no_session(app: Quart, *cookies: bytes) -> None:
    status, text = await front_page(app, *cookies)
    assert status == 200, cookies
    assert NO_SESSION in text, cookies


async def test_a_cookie_that_was_cut_anywhere_is_no_session(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    cookie = cookie_of(client).encode()

    for length in range(0, len(cookie), 17):
        await check_no_session(app, b"auth=" + cookie[:length])
        await check_no_session(app, b"auth=" + cookie[length + 1 :])
    assert "Logged in as" in (await front_page(app, b"auth=" + cookie))[1]


async def test_a_true_token_under_another_key_or_salt_is_no_session(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    token = token_in(cookie_of(client))

    for forged in (
        signed(token, key=FORMER_KEY),
        signed(token, key=""),
        signed(token, key=SECRET_KEY.upper()),
        signed(token, salt="another salt"),
        signed(token, salt=FLASH_SALT),
        URLSafeTimedSerializer(SECRET_KEY, SALT).dumps(token),
        token,
    ):
        await check_no_session(app, b"auth=" + str(forged).encode())
    assert await is_logged_in(attacker_with(app, signed(token)))


async def test_anything_else_under_our_key_is_no_session(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    row_ids = ["0", "1", "2", "-1", "18446744073709551616"]
    texts = ["", " ", "%", "' OR 1=1 --", "\0", "\ufffd", "é" * 3000, "x" * 9000, token_in(cookie_of(client)) + " "]
    no_texts = ["0", "1", "-1", str(2**70), "1.5", "true", "[]", '["x"]', '{"id": 1}', '"\\ud800"']
    payloads = [*map(base64_encode, no_texts), b"", b"garbage", b"bnVsbA", b".eJw", b"\xff"]

    for text in (*row_ids, *texts, None):
        await check_no_session(app, b"auth=" + signed(text).encode())
    for token in map(signed_payload, payloads):
        await check_no_session(app, b"auth=" + token)
        assert (await attacker_with(app, token.decode("latin-1")).post("/logout")).status_code == 303


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


async def test_nonsense_is_no_session_and_never_shown(app: Quart) -> None:
    for cookie in (nonsense.replace(b"auth", name) for nonsense in NONSENSE for name in (b"auth", b"session")):
        await check_no_session(app, cookie)
        assert "<svg" not in (await front_page(app, cookie))[1]


async def test_nonsense_beside_a_session_leaves_it_alone(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    cookie = cookie_of(client).encode()

    for other in (*(nonsense.replace(b"auth", b"session") for nonsense in NONSENSE), b"\xff=\xff"):
        assert "Logged in as" in (await front_page(app, b"auth=" + cookie, other))[1], other


async def test_of_several_cookies_of_one_name_the_first_counts(app: Quart) -> None:
    ada, eve = app.test_client(), app.test_client()
    await register(ada)
    await register(eve, email="eve@example.com")
    hers, mine = (b"auth=" + cookie_of(client).encode() for client in (ada, eve))

    for headers in ([hers, mine], [hers + b"; " + mine], [hers, b"auth=x"], [hers + b"; auth=x; auth="]):
        assert "<strong>ada@example.com</strong>" in (await front_page(app, *headers))[1]
    for headers in ([b"auth=x", hers], [b"auth=; " + hers]):
        await check_no_session(app, *headers)


async def test_a_browser_with_a_nonsense_cookie_can_log_in(app: Quart) -> None:
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


async def test_a_cookie_under_a_former_key_is_a_session_while_the_key_is_kept(
    settings: dict[str, Any], app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    old, changed = cookie_of(client), {**settings, "SECRET_KEY": FORMER_KEY[::-1]}

    async with serving(changed | {"SECRET_KEY_FALLBACKS": [SECRET_KEY]}) as former:
        assert await is_logged_in(attacker_with(former, old))
        fresh = await enter(former)
    async with serving(changed) as later:
        assert not await is_logged_in(attacker_with(later, old))
        assert await is_logged_in(attacker_with(later, cookie_of(fresh)))


def flash_cookie(app: Quart, content: Any, *, key: str = SECRET_KEY) -> bytes:
    """Sign the cookie of the flashed messages, as Quart does."""
    interface = app.session_interface
    assert isinstance(interface, SecureCookieSessionInterface)
    serializer = interface.get_signing_serializer(app)
    assert serializer is not None
    serializer.secret_keys = [key.encode()]
    value = serializer.dumps(content)
    return b"session=" + (value if isinstance(value, bytes) else value.encode())


async def test_a_flashed_message_is_escaped(app: Quart) -> None:
    message = "<svg onload=alert(1)>{{7*7}}"
    shown = (await front_page(app, flash_cookie(app, {"_flashes": [("message", message)]})))[1]

    assert "&lt;svg onload=alert(1)&gt;{{7*7}}" in shown
    assert "<svg" not in shown


async def test_a_flashed_message_under_another_key_is_not_shown(app: Quart) -> None:
    cookie = flash_cookie(app, {"_flashes": [("message", "Call 555-EVIL")]}, key=FORMER_KEY)

    assert "EVIL" not in (await front_page(app, cookie))[1]
    await check_no_session(app, cookie)


async def test_the_parts_of_two_cookies_do_not_make_a_third(app: Quart) -> None:
    ada, eve = app.test_client(), app.test_client()
    await register(ada)
    await register(eve, email="eve@example.com")
    hers, mine = (cookie_of(client).split(".") for client in (ada, eve))

    for mixed in range(1, 7):  # which of payload, time and signature are Ada's; 0 and 7 are whole cookies
        parts = [hers[n] if mixed >> n & 1 else mine[n] for n in range(3)]
        if parts not in (hers, mine):  # the two may have come in one second
            await check_no_session(app, b"auth=" + ".".join(parts).encode())
