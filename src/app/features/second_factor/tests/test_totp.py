"""The codes of RFC 6238, and the encryption of the secrets."""

from datetime import UTC, datetime

import pytest
from quart import Quart

from app.features.second_factor import encryption, totp
from app.features.second_factor.encryption import Undecryptable

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_are_those_of_rfc_6238_appendix_b(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)

    assert totp.code_at(SECRET, totp.step_at(now)) == code
    assert totp.find_step(SECRET, code, now=now) == seconds // 30


def test_the_key_uri_names_the_site_and_the_account() -> None:
    uri = totp.provisioning_uri(SECRET, issuer="Café: Ada & Sons", email="ada+x@example.com")

    assert uri == (
        "otpauth://totp/Caf%C3%A9%20Ada%20%26%20Sons:ada%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        "&issuer=Caf%C3%A9%20Ada%20%26%20Sons&algorithm=SHA1&digits=6&period=30"
    )


async def test_a_secret_is_encrypted_for_one_user_with_the_keys_of_the_site(app: Quart) -> None:
    async with app.app_context():
        encrypted = encryption.encrypt(SECRET, purpose="one user")
        assert encryption.decrypt(encrypted, purpose="one user") == SECRET
        with pytest.raises(Undecryptable):
            encryption.decrypt(encrypted, purpose="another user")

        former, app.config["SECRET_KEY"] = app.config["SECRET_KEY"], "another key that is long enough to be one"
        with pytest.raises(Undecryptable):
            encryption.decrypt(encrypted, purpose="one user")
        app.config["SECRET_KEY_FALLBACKS"] = (former,)
        assert encryption.decrypt(encrypted, purpose="one user") == SECRET
        assert not encryption.is_current(encrypted, purpose="one user")
