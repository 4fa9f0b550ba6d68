"""Who wants to work on the database waits in line, and takes no connection before it is their turn."""

import asyncio


class Line:
    """As many at once as there are connections; of those who write to SQLite one, as it has it.

    SQLite has no line of its own: who asks it in vain sleeps before the next try, however soon it is free.
    """

    def __init__(self, *, places: int, writers: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.writers = asyncio.Semaphore(writers)

    async def take_place(self, *, writes: bool) -> None:
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
