"""Password hashes: which ones verify, which ones are replaced, and the cost of a refusal."""

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

from app.services.passwords import CURRENT, PasswordHasher

pytestmark = pytest.mark.slow

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors/flask_security_hashes.json").read_text())
SALT: str = VECTORS["salt"]
KINDS = {row["scheme"]: row for row in VECTORS["rows"] if not row["single"]}
OURS, WITH_SALT = PasswordHasher(), PasswordHasher(salt=SALT)
WEAKER = CURRENT.using(argon2__time_cost=1, argon2__memory_cost=8192).hash("correct horse")
STORED = OURS.hash("correct horse")


def test_a_new_hash_is_argon2id_as_owasp_recommends() -> None:
    assert STORED.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_current_hash_is_kept_and_a_wrong_password_refused() -> None:
    assert OURS.verify("correct horse", STORED) == STORED
    assert OURS.verify("Correct horse", STORED) is None
    assert OURS.verify("correct horse ", STORED) is None


def test_a_password_is_the_same_however_its_letters_are_composed() -> None:
    typed = "P\u00e4ssw\u00f6rter-1234"
    stored = OURS.hash(typed)

    assert OURS.verify(unicodedata.normalize("NFD", typed), stored) == stored


def test_the_end_of_a_long_password_counts() -> None:
    assert OURS.verify("a" * 72 + "Y", OURS.hash("a" * 72 + "X")) is None


@pytest.mark.parametrize("row", VECTORS["rows"], ids=lambda row: f"{row['scheme']}-{row['single']}-{row['pw'][:10]}")
def test_a_hash_of_flask_security_verifies_and_is_replaced_by_a_current_one(row: dict[str, Any]) -> None:
    replaced = WITH_SALT.verify(row["pw"], row["hash"])

    assert replaced is not None
    assert WITH_SALT.verify(row["pw"], replaced) == replaced


@pytest.mark.parametrize("scheme", KINDS)
def test_an_old_hash_refuses_a_wrong_password(scheme: str) -> None:
    assert WITH_SALT.verify(KINDS[scheme]["pw"] + "x", KINDS[scheme]["hash"]) is None


def test_a_weaker_argon2_hash_is_replaced_each_time_by_the_same() -> None:
    """Of two simultaneous logins the second finds the hash that it would have stored itself."""
    replaced = OURS.verify("correct horse", WEAKER)

    assert str(replaced).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert OURS.verify("correct horse", WEAKER) == replaced


@pytest.mark.parametrize(
    "garbage",
    ["x", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$cut", "$2b$12$short", "!" * 255, STORED[:-20]],
    ids=["text", "name", "parameters", "bcrypt", "long", "cut"],
)
def test_a_malformed_hash_matches_no_password(garbage: str) -> None:
    for hasher in (OURS, WITH_SALT):
        assert hasher.verify("correct horse", garbage) is None


@pytest.mark.parametrize("password", ["\0null-in-it", chr(0xD800) * 10, "\ufffd" * 10])
def test_a_password_that_is_not_text_matches_no_hash(password: str) -> None:
    assert OURS.verify(password, OURS.hash("")) is None


def test_without_the_salt_no_hash_of_another_installation_verifies() -> None:
    assert OURS.verify("password", next(row["hash"] for row in VECTORS["rows"] if row["single"])) is None


@pytest.mark.parametrize(
    "stored", [STORED, "$2b$12$short", KINDS["bcrypt"]["hash"]], ids=["current", "garbage", "bcrypt"]
)
def test_a_refusal_costs_the_same_whatever_is_stored(stored: str) -> None:
    known, unknown = refusal_times(stored)

    assert 0.8 < known / unknown < 1.25


@pytest.mark.parametrize("stored", [WEAKER, KINDS["pbkdf2_sha512"]["hash"]], ids=["argon2", "pbkdf2"])
def test_a_refusal_of_a_quicker_kind_is_done_before_it_is_due(stored: str) -> None:
    known, unknown = refusal_times(stored)

    assert known < 1.1 * unknown


def refusal_times(stored: str) -> tuple[float, float]:
    """Return how long a refusal takes with a stored hash and without an account, where bcrypt is the slowest kind."""
    hasher = PasswordHasher(salt=SALT)
    hasher.prepare([KINDS["bcrypt"]["hash"]])
    return interleaved(
        lambda: hasher.verify("wrong horse", stored), lambda: hasher.verify("wrong horse", None), rounds=3
    )


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


def test_the_slowest_stored_kind_decides_when_a_refusal_is_due() -> None:
    hasher = PasswordHasher(salt=SALT)
    hasher.prepare(KINDS[scheme]["hash"] for scheme in ("pbkdf2_sha512", "bcrypt"))

    assert hasher.slowest[1] == KINDS["bcrypt"]["hash"]
    assert hasher.hashing_seconds("x") > 2 * hasher.slowest[0]


def test_a_long_password_costs_no_more_against_an_old_hash() -> None:
    hasher = PasswordHasher(salt=SALT)
    hasher.prepare([KINDS["sha512_crypt"]["hash"]])

    long, short = interleaved(lambda: hasher.verify("x" * 4096, None), lambda: hasher.verify("x" * 256, None), rounds=3)

    assert long / short < 1.25


def test_a_process_on_one_core_hashes_one_password_at_a_time() -> None:
    on_one_core = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    look = "from app.services import hashing; print(hashing.THREADS)"

    said = subprocess.run([sys.executable, "-c", f"{on_one_core}; {look}"], capture_output=True, text=True, check=True)

    assert said.stdout == "1\n"
