"""Input that an attacker sends."""

import json
from urllib.parse import urlencode

from support.actions import EMAIL, PASSWORD

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
HEADERS = [
    *(text.encode(errors="replace") for text in NASTY if "\r" not in text and len(text) < 20_000),
    b"\xff\xfe\xed\xa0\x80",
    b"text/html;q=nan, application/json;q=1e999",
    b"a/b;q=0." + b"9" * 5000,
    b"a/b," * 4000,
    b"/, */json, ;q=, \"\\, a;b=';",
    b"<svg onload=alert(1)>/{{7*7}};q=1",
]
NEW = "another horse battery staple"


Pairs = list[tuple[str, str]]


def urlencoded(pairs: Pairs) -> tuple[bytes, str]:
    return urlencode(pairs, errors="surrogatepass").encode(), "application/x-www-form-urlencoded"


def multipart(pairs: Pairs) -> tuple[bytes, str]:
    part = '--XX\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(name, value) for name, value in pairs) + "--XX--\r\n"
    return body.encode(errors="surrogatepass"), MULTIPART


def as_json(pairs: Pairs) -> tuple[bytes, str]:
    return json.dumps(dict(pairs)).encode(), "application/json"


FORMS: dict[str, dict[str, str]] = {  # each would be taken
    "/register": {"email": "new@example.com", "password": PASSWORD, "password_confirm": PASSWORD, "next": "/about"},
    "/login": {"email": EMAIL, "password": PASSWORD, "remember": "y", "next": "/about"},
    "/change": {"password": PASSWORD, "new_password": NEW, "new_password_confirm": NEW},
}
MULTIPART = "multipart/form-data; boundary=XX"
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
