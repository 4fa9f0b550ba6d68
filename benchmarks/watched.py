"""Run the site as run.py does, and say at each SIGUSR1 how long its event loop was held at most since the one before.

Every callback is timed, by the CPU time of the loop's thread and by the clock. By the clock it is longer: on one core
the threads that hash and other processes have their turns in between. The answer goes to the file that HOLDS names.
"""

import asyncio
import json
import os
import runpy
import signal
import time
from pathlib import Path

HOLDS = Path(os.environ["HOLDS"])


class Watch:
    def __init__(self) -> None:
        self.longest = {"cpu": 0.0, "wall": 0.0}  # milliseconds
        self.during = {"cpu": "", "wall": ""}
        self.run_handle = asyncio.Handle._run  # there is no public place for it

    def time(self, handle: asyncio.Handle) -> None:
        cpu, wall = time.thread_time(), time.perf_counter()
        self.run_handle(handle)
        took = {"cpu": (time.thread_time() - cpu) * 1000, "wall": (time.perf_counter() - wall) * 1000}
        for clock, milliseconds in took.items():
            if milliseconds > self.longest[clock]:
                self.longest[clock], self.during[clock] = milliseconds, repr(handle)

    def tell(self, *_: object) -> None:
        unfinished = HOLDS.with_suffix(".part")
        unfinished.write_text(json.dumps(self.longest | {f"during_{clock}": of for clock, of in self.during.items()}))
        unfinished.rename(HOLDS)
        self.longest = {"cpu": 0.0, "wall": 0.0}


watch = Watch()


def run_in_time(self: asyncio.Handle) -> None:
    watch.time(self)


asyncio.Handle._run = run_in_time  # type: ignore[method-assign]
signal.signal(signal.SIGUSR1, watch.tell)
runpy.run_path("run.py", run_name="__main__")
