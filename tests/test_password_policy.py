"""Which passwords are refused, and why."""

import pytest

from app.services.password_policy import COMMON, PasswordRefused, check_password

EMAIL = "ada.lovelace@mathematics.example.com"


def refusal_of(password: str, *, email: str = EMAIL, length_min: int = 8) -> str | None:
    try:
        check_password(password, email=email, length_min=length_min)
    except PasswordRefused as refusal:
        return str(refusal)
    return None


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "        spaces 15 ok  ",
        "\u65e5\u672c\u8a9e\u306e\u30d1\u30b9\u30ef\u30fc\u30c9",
        "'; DROP TABLE users; --  xx",
        "alllowercaseletters",
        "\u202eright-to-left-override",
        "9-letter7",
        "x" * 256,
        "ada.lovelace was here",
    ],
)
def test_a_good_password_needs_nothing_but_length(password: str) -> None:
    assert refusal_of(password) is None


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("1234567", "Use 8 characters or more."),
        ("\u0061\u0308" * 7, "Use 8 characters or more."),
        ("x" * 257, "Use 256 characters at most."),
        ("null\0null", "There is a character in it that cannot be used."),
        (chr(0xD800) * 10, "There is a character in it that cannot be used."),
        ("\ufffd" * 10, "There is a character in it that cannot be used."),
        ("12345678", "This is one of the most common passwords. Choose another."),
        ("Password1", "This is one of the most common passwords. Choose another."),
        (EMAIL, "Do not use your e-mail address or a part of it."),
        (EMAIL.upper(), "Do not use your e-mail address or a part of it."),
        ("ada.lovelace", "Do not use your e-mail address or a part of it."),
        ("Lovelace", "Do not use your e-mail address or a part of it."),
        ("mathematics.example.com", "Do not use your e-mail address or a part of it."),
        ("mathematics", "Do not use your e-mail address or a part of it."),
    ],
)
def test_a_bad_password_is_refused_with_its_reason(password: str, reason: str) -> None:
    assert refusal_of(password) == reason


def test_the_shortest_length_is_a_setting() -> None:
    assert refusal_of("x7#kQ2", length_min=6) is None
    assert refusal_of("correct horse", length_min=15) == "Use 15 characters or more."


def test_the_list_holds_the_ten_thousand_most_common() -> None:
    listed = COMMON.read_text(encoding="utf-8").splitlines()

    assert len(set(listed)) > 10_000
    assert {"iloveyou", "football", "princess1"} <= set(listed)
    assert COMMON.with_suffix(".LICENSE").exists()
