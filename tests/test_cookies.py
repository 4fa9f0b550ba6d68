"""A cookie that is forged, cut or nonsense is no session: the response is the one without a cookie."""

from hashlib import sha512
from typing import Any

from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode
from quart import Quart
from quart.typing import TestClientProtocol

from support.actions import EMAIL, PASSWORD, attacker_with, cookie_of, create_user, enter, is_logged_in, register
from support.app import SECRET_KEY, serving

SALT = "quart auth salt"
FORMER_KEY = "the-key-of-last-year-is-long-enough-to-be-a-key"
FLASH_SALT = "cookie-session"


def serializer(key: str = SECRET_KEY, salt: str = SALT) -> URLSafeTimedSerializer:
    """Return what quart-auth signs and reads session cookies with."""
    return URLSafeTimedSerializer(key, salt, signer_kwargs={"digest_method": sha512})


def signed_payload(payload: bytes) -> bytes:
    """Sign what quart-auth would not sign."""
    return TimestampSigner(SECRET_KEY, SALT, digest_method=sha512, key_derivation="django-concat").sign(payload)


async def front_page(app: Quart, *cookies: bytes) -> str:
    """Return the front page for whole Cookie headers."""
    headers = [(b"host", b"localhost"), *((b"cookie", cookie) for cookie in cookies)]
    response = await app.test_client(use_cookies=False).get("/", scope_base={"headers": headers})
    assert response.status_code == 200, cookies
    return await response.get_data(as_text=True)


async def check_no_session(app: Quart, *cookies: bytes) -> None:
    text = await front_page(app, *cookies)
    assert 'action="/logout"' not in text, cookies
    assert "<svg" not in text, cookies


async def test_a_cookie_that_is_cut_or_signed_with_another_key_or_salt_is_no_session(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    cookie = cookie_of(client)
    token = serializer().loads(cookie)

    for length in range(0, len(cookie), 17):
        await check_no_session(app, f"auth={cookie[:length]}".encode())
        await check_no_session(app, f"auth={cookie[length + 1 :]}".encode())
    for key, salt in (FORMER_KEY, SALT), ("", SALT), (SECRET_KEY.upper(), SALT), (SECRET_KEY, FLASH_SALT):
        await check_no_session(app, f"auth={serializer(key, salt).dumps(token)}".encode())
    await check_no_session(app, f"auth={token}".encode())
    assert await is_logged_in(attacker_with(app, str(serializer().dumps(token))))


async def test_anything_else_under_our_key_is_no_session(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    token = serializer().loads(cookie_of(client))
    row_ids = ["0", "1", "2", "-1", "18446744073709551616"]
    texts = ["", " ", "%", "' OR 1=1 --", "\0", "\ufffd", "é" * 3000, "x" * 9000, f"{token} "]
    no_texts = ["0", "1", "-1", str(2**70), "1.5", "true", "[]", '["x"]', '{"id": 1}', '"\\ud800"']
    payloads = [*map(base64_encode, no_texts), b"", b"garbage", b"bnVsbA", b".eJw", b"\xff"]

    for text in (*row_ids, *texts, None):
        await check_no_session(app, f"auth={serializer().dumps(text)}".encode())
    for cookie in map(signed_payload, payloads):
        await check_no_session(app, b"auth=" + cookie)
        assert (await attacker_with(app, cookie.decode("latin-1")).post("/logout")).status_code == 303


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


async def test_nonsense_is_no_session_and_leaves_a_session_alone(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    cookie = f"auth={cookie_of(client)}".encode()

    for nonsense in NONSENSE:
        other = nonsense.replace(b"auth", b"session")
        await check_no_session(app, nonsense)
        await check_no_session(app, other)
        assert 'action="/logout"' in await front_page(app, cookie, other), other


async def test_a_browser_with_a_nonsense_cookie_can_log_in(app: Quart) -> None:
    await create_user(app)
    form = {"email": EMAIL, "password": PASSWORD}
    for cookie in ("auth=x", "auth=\xff; session=\xff", f"auth={serializer().dumps('unknown')}"):
        client = app.test_client()

        assert (await client.post("/login", form=form, headers={"Cookie": cookie})).status_code == 303
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
