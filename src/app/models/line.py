"""Who wants to work on the database waits in line, and takes no connection before it is their turn."""

import asyncio
from weakref import WeakKeyDictionary


class Line:
    """As many at once as there are connections; of those who write to SQLite one, as it has it.

    SQLite has no line of its own: who asks it in vain sleeps before the next try, however soon it is free.
    """

    def __init__(self, *, places: int, writers: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.writers = asyncio.Semaphore(writers)

    async def take_place(self, *, writes: bool, within: float) -> None:
        """Wait for a connection. Raises TimeoutError after so many seconds.

        Who would get one too late to use it takes none. Else, once all have waited for long, each would be cut off in
        the middle, and its connection with it: new ones take so long that the next are late as well, and nobody would
        ever be served.
        """
        async with asyncio.timeout(within):
            if writes:
                await self.writers.acquire()  # first, so that who waits to write is in the way of nobody who reads
            try:
                await self.places.acquire()
            except BaseException:
                if writes:
                    self.writers.release()
                raise

    def leave(self, *, writes: bool) -> None:
        self.places.release()
        if writes:
            self.writers.release()


class Lines:
    """A line for each event loop: what it waits with belongs to its loop."""

    def __init__(self, *, places: int, writers: int) -> None:
        self.places, self.writers = places, writers
        self.of_loops = WeakKeyDictionary[asyncio.AbstractEventLoop, Line]()

    def here(self) -> Line:
        loop = asyncio.get_running_loop()
        if loop not in self.of_loops:
            self.of_loops[loop] = Line(places=self.places, writers=self.writers)
        return self.of_loops[loop]
