"""The threads that hash: the memory that they take and give back, and how long the queue thinks that a hash takes."""

import json
import subprocess
import sys
import time
from pathlib import Path

from app.services.hashing import HashingQueue
from conftest import ROOT, SECRET_KEY

HASH_AND_REST = r"""
import asyncio, json, re, sys
from pathlib import Path

from app.app_factory import create_app
from app.services import hashing, passwords

def megabytes():
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1000

async def main():
    hashing.IDLE = 0.3
    passwords.prepare(salt="")
    seen = [megabytes()]
    for _ in range(2):
        await passwords.hash_password("correct-horse-battery")
        seen.append(megabytes())
        await asyncio.sleep(1)
        seen.append(megabytes())
    print(json.dumps(seen))

create_app({"INSTANCE_PATH": sys.argv[1], "SECRET_KEY": sys.argv[2]})
asyncio.run(asyncio.to_thread(lambda: [bytes(1000) for _ in range(1000)]))  # as run.py looks at the database first
asyncio.run(main())
"""


def test_what_a_hash_takes_is_given_back_when_no_more_come(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HASH_AND_REST, str(tmp_path), SECRET_KEY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    start, *seen = json.loads(done.stdout)
    for busy, rested in zip(seen[::2], seen[1::2], strict=True):
        assert busy > start + 15
        assert rested < start + 5


async def test_one_pause_makes_no_hash_look_slow_but_what_lasts_does() -> None:
    queue = HashingQueue()
    queue.seconds_each = 0.02

    await queue.run(time.sleep, 1)
    assert queue.seconds_each < 0.03

    for _ in range(30):
        await queue.run(time.sleep, 0.05)
    assert 0.04 < queue.seconds_each < 0.08
    queue.threads.shutdown()
