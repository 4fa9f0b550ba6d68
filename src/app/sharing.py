"""The listening socket that the workers share, and how they share those who come.

asyncio takes all who stand in line when it wakes. A single worker would get everybody who comes at once, as the
connections of a proxy do, and keep them for as long as they last, while the others have nothing to do.
"""

import asyncio
import errno
import socket
from mmap import mmap
from typing import Any

AWAY = 2**40  # more clients than anybody has: leave nobody to this worker
PATIENCE = 0.004  # seconds that somebody is left to a worker with fewer clients, who may be busy with one of them
IN_VAIN = 5  # times in a row, after which a worker seems to be stuck
ALONE = 1  # second for which nobody is left to such a one, unless it stirs
CROWDED = 0.1  # seconds for which nobody is taken when there is no room
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


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
        self.in_vain = 0  # how often nobody has taken them since
        self.stuck_at = -1  # the clients of whoever seems to be stuck
        self.alone_until = self.full_until = 0.0  # by the clock of the loop
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
        if self._leaves_them_to_others() or self._is_full():
            raise BlockingIOError  # asyncio sees to its other work, and comes back if they are still there
        try:
            accepted, address = super().accept()
        except OSError as error:
            if error.errno in FULL:  # asyncio comes back after a second, but first tries again for all in line
                self.full_until = asyncio.get_running_loop().time() + CROWDED
            raise
        self._forget()
        self.clients[self.place] += 1
        return _Client(accepted, of=self), address

    def leave(self) -> None:
        """Leave who comes to the other workers, if there are any who take them."""
        self.clients[self.place] = AWAY

    def _leaves_them_to_others(self) -> bool:
        fewest, ours = min(self.clients), self.clients[self.place]
        if ours <= fewest + fewest // 4:
            return False
        loop = asyncio.get_running_loop()
        if fewest == self.stuck_at and loop.time() < self.alone_until:
            return False
        if self.left_to_others is None:
            self.left_to_others = loop.call_later(2 * PATIENCE, self._see_them_taken)
        if loop.time() < self.left_to_others.when() - PATIENCE:
            return True
        self.in_vain += 1
        if self.in_vain >= IN_VAIN:
            self.stuck_at, self.alone_until = fewest, loop.time() + ALONE
        return False

    def _see_them_taken(self) -> None:
        self.left_to_others = None
        self.in_vain = 0

    def _is_full(self) -> bool:
        return self.full_until > 0 and asyncio.get_running_loop().time() < self.full_until

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
