"""Verify or hash in threads for some seconds, with nothing around it, and say how often a second.

python argon2_alone.py SECONDS THREADS STEP…, where a step is verify or hash: all of them in turn are done once.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from app.services.passwords import PasswordHasher

OURS = PasswordHasher()
PASSWORD = "correct-horse-battery"


def main(seconds: float, threads: int, steps: list[str]) -> float:
    stored = OURS.hash(PASSWORD)
    verbs: dict[str, Callable[[], object]] = {
        "verify": lambda: OURS.verify(PASSWORD, stored),
        "hash": lambda: OURS.hash(PASSWORD),
    }
    wanted = [verbs[step] for step in steps]
    since = time.monotonic()

    def repeat() -> int:
        done = 0
        while time.monotonic() < since + seconds:
            for verb in wanted:
                verb()
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = sum(future.result() for future in [pool.submit(repeat) for _ in range(threads)])
    return done / (time.monotonic() - since)


if __name__ == "__main__":
    print(main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))  # noqa: T201 # its one answer
