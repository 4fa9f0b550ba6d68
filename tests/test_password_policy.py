"""Which passwords are refused, and why."""

import pytest

from app.lib.passwords import policy
from app.lib.passwords.policy import COMMON_PASSWORDS, PasswordRefused, check_password

EMAIL = "ada.lovelace@mathematics.example.com"
GOOD = [
    "correct horse battery staple",
    "        spaces 15 ok  ",
    "\u65e5\u672c\u8a9e\u306e\u30d1\u30b9\u30ef\u30fc\u30c9",
    "'; DROP TABLE users; --  xx",
    "alllowercaseletters",
    "\u202eright-to-left-override",
    "9-letter7",
    "x" * 256,
    "ada.lovelace was here",
]
REFUSED = {
    "Use at least 8 characters.": ["1234567", "\u0061\u0308" * 7],
    "Use at most 256 characters.": ["x" * 257],
    "This password contains a character that cannot be used.": ["null\0null", chr(0xD800) * 10, "\ufffd" * 10],
    "This is one of the most common passwords. Choose another one.": ["12345678", "Password1"],
    "Do not use your e-mail address or a part of it.": [
        EMAIL,
        EMAIL.upper(),
        *EMAIL.split("@"),
        "Lovelace",
        "mathematics",
    ],
}


@pytest.fixture(autouse=True)
def min_length(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    settings = {"SECURITY_PASSWORD_LENGTH_MIN": 8}
    monkeypatch.setattr(policy, "current_settings", lambda: settings)
    return settings


def refusal_of(password: str) -> str | None:
    try:
        check_password(password, email=EMAIL)
    except PasswordRefused as error:
        return str(error)
    return None


def test_a_good_password_needs_nothing_but_length() -> None:
    assert [password for password in GOOD if refusal_of(password)] == []


def test_an_unsuitable_password_is_refused_with_its_reason() -> None:
    for reason, passwords in REFUSED.items():
        for password in passwords:
            assert refusal_of(password) == reason, password


def test_the_shortest_length_is_a_setting(min_length: dict[str, int]) -> None:
    min_length["SECURITY_PASSWORD_LENGTH_MIN"] = 6
    assert refusal_of("x7#kQ2") is None
    min_length["SECURITY_PASSWORD_LENGTH_MIN"] = 15
    assert refusal_of("correct horse") == "Use at least 15 characters."


def test_the_list_holds_the_ten_thousand_most_common() -> None:
    listed = set(COMMON_PASSWORDS.read_text(encoding="utf-8").splitlines())

    assert len(listed) > 10_000
    assert {"iloveyou", "football", "princess1"} <= listed
    assert COMMON_PASSWORDS.with_suffix(".LICENSE").exists()
