"""The memory that hashes take: kept while there are some, given back when there have been none for a while."""

import json
import subprocess
import sys

from conftest import ROOT

HASH_AND_REST = r"""
import asyncio, json, re
from pathlib import Path

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

asyncio.run(main())
""".replace("\\\\\\\\", "\\\\")


def test_what_a_hash_takes_is_given_back_when_no_more_come() -> None:
    done = subprocess.run([sys.executable, "-c", HASH_AND_REST], cwd=ROOT, capture_output=True, text=True, check=True)

    start, *seen = json.loads(done.stdout)
    for busy, rested in zip(seen[::2], seen[1::2], strict=True):
        assert busy > start + 15
        assert rested < start + 5
