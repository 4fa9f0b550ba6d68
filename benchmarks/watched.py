"""Run the site as run.py does, and say at each SIGUSR1 how long its event loop was held at most since the one before.

Every callback is timed, by the CPU time of the loop's thread and by the clock. By the clock it is longer: on one core
the threads that hash and other processes have their turns in between. The answer, in milliseconds, goes to the file
that HOLDS names, with the longest collection of garbage, which is a part of one of the callbacks.
"""

import asyncio
import gc
import json
import os
import runpy
import signal
import time
from pathlib import Path

HOLDS = Path(os.environ["HOLDS"])
NONE = {"cpu": 0.0, "wall": 0.0, "collection": 0.0}


class Watch:
    def __init__(self) -> None:
        self.longest = dict(NONE)
        self.run_handle = asyncio.Handle._run  # there is no public place for it
        self.collecting_since = 0.0

    def time(self, handle: asyncio.Handle) -> None:
        cpu, wall = time.thread_time(), time.perf_counter()
        self.run_handle(handle)
        self.note("cpu", time.thread_time() - cpu)
        self.note("wall", time.perf_counter() - wall)

    def time_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self.collecting_since = time.thread_time()
        else:
            self.note("collection", time.thread_time() - self.collecting_since)

    def note(self, of: str, seconds: float) -> None:
        self.longest[of] = max(self.longest[of], seconds * 1000)

    def tell(self, *_: object) -> None:
        unfinished = HOLDS.with_suffix(".part")
        unfinished.write_text(json.dumps(self.longest))
        unfinished.rename(HOLDS)
        self.longest = dict(NONE)


watch = Watch()


def run_in_time(self: asyncio.Handle) -> None:
    watch.time(self)


asyncio.Handle._run = run_in_time  # type: ignore[method-assign]
gc.callbacks.append(watch.time_collection)
signal.signal(signal.SIGUSR1, watch.tell)
runpy.run_path("run.py", run_name="__main__")
