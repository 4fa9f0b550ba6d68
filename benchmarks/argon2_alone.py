"""Verify a password or hash it, in threads and for some seconds, and print how often that was done in a second.

python argon2_alone.py SECONDS THREADS verify|hash STORED_HASH PASSWORD: the stored hash names the parameters.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher, extract_parameters


def main(seconds: float, threads: int, step: str, stored: str, password: str) -> float:
    hasher = PasswordHasher.from_parameters(extract_parameters(stored))
    steps: dict[str, Callable[[], object]] = {
        "verify": lambda: hasher.verify(stored, password),
        "hash": lambda: hasher.hash(password),
    }
    since = time.monotonic()

    def repeat() -> int:
        done = 0
        while time.monotonic() < since + seconds:
            steps[step]()
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = sum(future.result() for future in [pool.submit(repeat) for _ in range(threads)])
    return done / (time.monotonic() - since)


if __name__ == "__main__":
    print(main(float(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))  # noqa: T201 # read by scenarios/passwords.py
