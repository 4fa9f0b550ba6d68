"""Password hashes: which ones verify, which ones are replaced, and the cost of a refusal."""

import base64
import hmac
import json
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from passlib.context import CryptContext

from app.lib.passwords.executor import HashExecutor
from app.lib.passwords.hasher import PasswordHasher
from app.lib.passwords.schemes import CURRENT
from app.lib.settings import table

pytestmark = pytest.mark.real_hashes

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors/flask_security_hashes.json").read_text())
SALT: str = VECTORS["salt"]
KINDS = {row["scheme"]: row for row in VECTORS["rows"] if not row["single"]}
OURS, WITH_SALT = PasswordHasher(), PasswordHasher(salt=SALT)
WEAKER = CURRENT.using(argon2__time_cost=1, argon2__memory_cost=8192).hash("correct horse")
STORED = OURS.hash("correct horse")


def is_current(password: str, stored: str | None) -> bool:
    return stored is not None and WITH_SALT.verify(password, stored) == stored


def test_a_new_hash_is_argon2id_as_owasp_recommends_and_matches_its_password_alone() -> None:
    assert STORED.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert OURS.verify("correct horse", STORED) == STORED
    for wrong in ("Correct horse", "correct horse "):
        assert OURS.verify(wrong, STORED) is None
    assert OURS.verify("a" * 72 + "Y", OURS.hash("a" * 72 + "X")) is None  # bcrypt would not read the end


def test_a_password_is_the_same_however_its_characters_are_composed() -> None:
    typed = "P\u00e4ssw\u00f6rter-1234"
    stored = OURS.hash(typed)

    assert OURS.verify(unicodedata.normalize("NFD", typed), stored) == stored


@pytest.mark.long
def test_every_hash_of_flask_security_verifies_and_is_replaced_by_a_current_one() -> None:
    replaced = [WITH_SALT.verify(row["pw"], row["hash"]) for row in VECTORS["rows"]]

    assert [row for row, new in zip(VECTORS["rows"], replaced, strict=True) if not is_current(row["pw"], new)] == []
    assert {WITH_SALT.verify(row["pw"] + "x", row["hash"]) for row in KINDS.values()} == {None}
    single = next(row["hash"] for row in VECTORS["rows"] if row["single"])
    assert OURS.verify("password", single) is None  # without the salt


def test_one_hash_of_flask_security_verifies() -> None:
    row = KINDS["pbkdf2_sha512"]

    assert str(WITH_SALT.verify(row["pw"], row["hash"])).startswith("$argon2id$")
    assert WITH_SALT.verify(row["pw"] + "x", row["hash"]) is None


def test_a_weaker_argon2_hash_is_replaced_each_time_by_the_same() -> None:
    """Of two simultaneous logins the second reads the hash that it would have stored itself."""
    replaced = OURS.verify("correct horse", WEAKER)

    assert str(replaced).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert OURS.verify("correct horse", WEAKER) == replaced


def test_a_malformed_hash_and_a_password_that_is_no_text_match_nothing() -> None:
    cut = "$argon2id$v=19$m=19456,t=2,p=1$cut"
    for garbage in ("x", "$argon2id$", cut, "$2b$12$short", "!" * 255, STORED[:-20]):
        for hasher in (OURS, WITH_SALT):
            assert hasher.verify("correct horse", garbage) is None
    for password in ("\0null-in-it", chr(0xD800) * 10, "\ufffd" * 10):
        assert OURS.verify(password, OURS.hash("")) is None


# The time of a refusal


def test_a_salt_of_bytes_verifies_the_hashes_that_these_bytes_made() -> None:
    salt = b"\xffsalt\x00"
    salted = base64.b64encode(hmac.digest(salt, b"correct horse", "sha512")).decode()
    stored = CryptContext(["pbkdf2_sha512"], pbkdf2_sha512__rounds=1000).hash(salted)
    hasher = PasswordHasher(salt=table.read("SECURITY_PASSWORD_SALT", salt, ""))

    assert [bool(hasher.verify(password, stored)) for password in ("correct horse", "wrong horse")] == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stored", "lowest", "highest"),
    [
        (STORED, 0.8, 1.25),
        ("$2b$12$short", 0.8, 1.25),
        (KINDS["bcrypt"]["hash"], 0.8, 1.25),
        (WEAKER, 0, 1.1),  # a quicker kind is done before its refusal is due
        (KINDS["pbkdf2_sha512"]["hash"], 0, 1.1),
    ],
    ids=["current", "malformed", "bcrypt", "argon2", "pbkdf2"],
)
def test_a_refusal_costs_the_same_whatever_is_stored(stored: str, lowest: float, highest: float) -> None:
    hasher = PasswordHasher(salt=SALT)
    hasher.prepare([KINDS["bcrypt"]["hash"]])  # the slowest kind

    known, unknown = interleaved(lambda: hasher.verify("no", stored), lambda: hasher.verify("no", None), rounds=3)

    assert lowest < known / unknown < highest


@pytest.mark.slow
def test_where_no_older_hash_is_stored_the_salt_costs_nothing() -> None:
    hasher = PasswordHasher(salt=SALT)

    with_salt, without = interleaved(lambda: hasher.verify("no", None), lambda: OURS.verify("no", None), rounds=9)

    assert with_salt / without < 1.25


def interleaved(one: Callable[[], object], other: Callable[[], object], *, rounds: int) -> tuple[float, float]:
    """Return the median times of two calls, measured in turn and without the load of other programs."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for spent, call in zip(times, (one, other), strict=True):
            began = time.thread_time()
            call()
            spent.append(time.thread_time() - began)
    return median(times[0]), median(times[1])


@pytest.mark.slow
def test_the_slowest_stored_kind_decides_when_a_refusal_is_due() -> None:
    hasher = PasswordHasher(salt=SALT)
    hasher.prepare(KINDS[scheme]["hash"] for scheme in ("pbkdf2_sha512", "bcrypt"))

    assert hasher.slowest[1] == KINDS["bcrypt"]["hash"]
    assert hasher.hashing_seconds("x") > 2 * hasher.slowest[0]


@pytest.mark.slow
def test_a_long_password_costs_no_more_against_an_old_hash() -> None:
    hasher = PasswordHasher(salt=SALT)
    hasher.prepare([KINDS["sha512_crypt"]["hash"]])

    long, short = interleaved(lambda: hasher.verify("x" * 4096, None), lambda: hasher.verify("x" * 256, None), rounds=3)

    assert long / short < 1.25


@pytest.mark.programs
def test_a_process_on_one_core_hashes_one_password_at_a_time() -> None:
    on_one_core = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    look = "from app.lib.passwords import executor; print(executor.THREADS)"

    ran = subprocess.run([sys.executable, "-c", f"{on_one_core}; {look}"], capture_output=True, text=True, check=True)

    assert ran.stdout == "1\n"


@pytest.mark.slow
async def test_one_pause_does_not_count_as_a_slow_hash_and_what_lasts_does() -> None:
    queue = HashExecutor()
    queue.seconds_each = 0.02

    await queue.run(time.sleep, 1)
    assert queue.seconds_each < 0.03

    for _ in range(30):
        await queue.run(time.sleep, 0.05)
    assert queue.seconds_each > 0.04
    queue.threads.shutdown()
