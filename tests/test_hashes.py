"""The hashing of passwords: what verifies, what is replaced, what a refusal costs."""

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

from app.services import passwords
from app.services.passwords import hash_password

pytestmark = pytest.mark.slow

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors/flask_security_hashes.json").read_text())
SALT: str = VECTORS["salt"]
KINDS = {row["scheme"]: row for row in VECTORS["rows"] if not row["single"]}


async def verify_password(password: str, stored: str, *, salt: str) -> str | None:
    kept, _ = await passwords.verify_password(password, stored, salt=salt)
    return kept


async def test_a_new_hash_is_argon2id_as_owasp_recommends() -> None:
    assert (await hash_password("correct horse")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_current_hash_is_kept_and_a_wrong_password_refused() -> None:
    stored = await hash_password("correct horse")

    assert await verify_password("correct horse", stored, salt="") == stored
    assert await verify_password("Correct horse", stored, salt="") is None
    assert await verify_password("correct horse ", stored, salt="") is None


async def test_a_password_is_the_same_however_its_letters_are_composed() -> None:
    typed = "P\u00e4ssw\u00f6rter-1234"
    stored = await hash_password(typed)

    assert await verify_password(unicodedata.normalize("NFD", typed), stored, salt="") == stored


async def test_the_end_of_a_long_password_counts() -> None:
    stored = await hash_password("a" * 72 + "X")

    assert await verify_password("a" * 72 + "Y", stored, salt="") is None


@pytest.mark.parametrize("scheme", KINDS)
async def test_an_old_hash_is_replaced_by_a_new_one_of_the_same_password(scheme: str) -> None:
    row = KINDS[scheme]

    replaced = await verify_password(row["pw"], row["hash"], salt=SALT)

    assert replaced is not None
    assert await verify_password(row["pw"], replaced, salt=SALT) == replaced


@pytest.mark.parametrize("scheme", KINDS)
async def test_an_old_hash_refuses_a_wrong_password(scheme: str) -> None:
    assert await verify_password(KINDS[scheme]["pw"] + "x", KINDS[scheme]["hash"], salt=SALT) is None


async def test_a_weaker_argon2_hash_is_replaced() -> None:
    weaker = passwords._ours.using(argon2__time_cost=1).hash("correct horse")

    replaced = await verify_password("correct horse", weaker, salt="")

    assert replaced is not None
    assert replaced.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    "garbage", ["x", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$cut", "$2b$12$short", "!" * 255]
)
async def test_what_is_no_hash_matches_nothing(garbage: str) -> None:
    for salt in ("", SALT):
        assert await verify_password("correct horse", garbage, salt=salt) is None


@pytest.mark.parametrize("password", ["\0null-in-it", chr(0xD800) * 10, "\ufffd" * 10])
async def test_what_is_no_text_matches_nothing(password: str) -> None:
    assert await verify_password(password, await hash_password(""), salt="") is None


def test_a_stranger_waits_as_long_as_an_owner() -> None:
    stored = passwords._hash("correct horse")
    passwords.prepare(salt="")

    owner, stranger = interleaved(
        lambda: passwords._verify("wrong horse", stored, ""), lambda: passwords._verify("wrong horse", None, "")
    )

    assert 0.8 < stranger / owner < 1.25


def test_a_stranger_waits_as_long_as_the_owner_of_an_old_hash() -> None:
    passwords.prepare(salt=SALT)
    stored = KINDS["bcrypt"]["hash"]

    owner, stranger = interleaved(
        lambda: passwords._verify("wrong horse", stored, SALT), lambda: passwords._verify("wrong horse", None, SALT), 5
    )

    assert 0.8 < stranger / owner < 1.25


def interleaved(one: Callable[[], object], other: Callable[[], object], rounds: int = 25) -> tuple[float, float]:
    """Return the median times of two calls, measured in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for spent, call in zip(times, (one, other), strict=True):
            start = time.process_time()
            call()
            spent.append(time.process_time() - start)
    return median(times[0]), median(times[1])


async def test_without_the_salt_no_old_hash_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_former", None)

    assert await verify_password("password", KINDS["bcrypt"]["hash"], salt="") is None


async def test_a_long_password_costs_no_more_against_an_old_hash() -> None:
    assert max(map(len, passwords._former_secrets("\u00e9" * 4096, SALT))) <= 256
    assert len(list(passwords._former_secrets("e\u0301\u00e9\ufb01", SALT))) <= 4


def test_a_process_on_one_core_hashes_one_password_at_a_time() -> None:
    on_one_core = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    look = "from app.services import hashing; print(hashing.THREADS)"

    said = subprocess.run([sys.executable, "-c", f"{on_one_core}; {look}"], capture_output=True, text=True, check=True)

    assert said.stdout == "1\n"
