"""The listening socket that the workers share, and how they share those who come.

asyncio takes all who stand in line when it wakes. A single worker would get everybody who comes at once, as the
connections of a proxy do, and keep them for as long as they last, while the others have nothing to do.
"""

import asyncio
import socket
from mmap import mmap
from typing import Any

AWAY = 2**40  # more clients than anybody has: leave nobody to this worker
PATIENCE = 0.01  # seconds that somebody is left to a worker with fewer clients, who may be busy with one of them


class SharedSocket(socket.socket):
    """A listening socket whose clients go to the worker that has the fewest.

    Each counts its own where all can see it, in memory that they share, and leaves who comes to others while one of
    them has fewer, for a moment: whoever has nothing to do then takes them after all.
    """

    def __init__(self, bound: socket.socket, *, workers: int) -> None:
        super().__init__(bound.family, bound.type, bound.proto, fileno=bound.detach())
        self.clients = memoryview(mmap(-1, 8 * workers)).cast("q")
        self.place = 0
        self.left_to_others: asyncio.TimerHandle | None = None  # when that is forgotten
        for place in range(workers):
            self.clients[place] = AWAY

    def take_place(self, place: int) -> None:
        """Count at this place from now on, which is another worker's no more. Before one listens."""
        self.place = place
        self.clients[place] = AWAY

    def listen(self, backlog: int = 0, /) -> None:
        super().listen(backlog)
        self.clients[self.place] = 0

    def accept(self) -> tuple[socket.socket, Any]:
        if self._leaves_them_to_others():
            raise BlockingIOError  # asyncio sees to its other work, and comes back if they are still there
        accepted, address = super().accept()
        self._forget()
        self.clients[self.place] += 1
        return _Client(accepted, of=self), address

    def leave(self) -> None:
        """Leave all others who come to the other workers, if there are any."""
        self.clients[self.place] = AWAY

    def _leaves_them_to_others(self) -> bool:
        fewest, ours = min(self.clients), self.clients[self.place]
        if ours <= fewest + fewest // 4 or ours >= AWAY:
            return False
        loop = asyncio.get_running_loop()
        if self.left_to_others is None:
            self.left_to_others = loop.call_later(2 * PATIENCE, self._forget)
        return loop.time() < self.left_to_others.when() - PATIENCE

    def _forget(self) -> None:
        if self.left_to_others is not None:
            self.left_to_others.cancel()
            self.left_to_others = None


class _Client(socket.socket):
    """A connection that is counted until it is closed."""

    def __init__(self, accepted: socket.socket, *, of: SharedSocket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.of = of

    def close(self) -> None:
        if self.fileno() >= 0:
            self.of.clients[self.of.place] -= 1
        super().close()
