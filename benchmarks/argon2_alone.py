"""Verify one password in threads for some seconds, and say how often: python argon2_alone.py SECONDS THREADS."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from passlib.context import CryptContext

OURS = CryptContext(
    ["argon2"], argon2__type="ID", argon2__memory_cost=19 * 1024, argon2__time_cost=2, argon2__parallelism=1
)


def main(seconds: float, threads: int) -> float:
    stored = OURS.hash("correct horse")
    until = time.monotonic() + seconds

    def verify() -> int:
        done = 0
        while time.monotonic() < until:
            OURS.verify("correct horse", stored)
            done += 1
        return done

    since = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(future.result() for future in [pool.submit(verify) for _ in range(threads)])
    return done / (time.monotonic() - since)


if __name__ == "__main__":
    print(main(float(sys.argv[1]), int(sys.argv[2])))  # noqa: T201 # its one answer
