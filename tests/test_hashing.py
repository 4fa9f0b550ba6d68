"""The queue in front of the threads that hash."""

import time

from app.services.hashing import HashingQueue


async def test_one_pause_makes_no_hash_look_slow_but_what_lasts_does() -> None:
    queue = HashingQueue()
    queue.seconds_each = 0.02

    await queue.run(time.sleep, 1)
    assert queue.seconds_each < 0.03

    for _ in range(30):
        await queue.run(time.sleep, 0.05)
    assert 0.04 < queue.seconds_each < 0.08
    queue.threads.shutdown()
