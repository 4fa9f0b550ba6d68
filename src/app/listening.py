"""How to stop listening without cutting anybody off."""

import ctypes
import socket
import struct
from contextlib import suppress

SO_ATTACH_FILTER = 26  # Linux, <asm-generic/socket.h>
# A program for the kernel's packet filter: drop what asks for a new connection, keep all else.
# Each line: an operation, where to go if it holds and if not, a value. 13 is the byte with TCP's flags.
LOAD_FLAGS = (0x30, 0, 0, 13)
TAKE_SYN_AND_ACK = (0x54, 0, 0, 0x12)
IF_ONLY_SYN = (0x15, 0, 1, 0x02)
DROP = (0x06, 0, 0, 0)
KEEP = (0x06, 0, 0, 0xFFFFFFFF)
NOBODY_NEW = [LOAD_FLAGS, TAKE_SYN_AND_ACK, IF_ONLY_SYN, DROP, KEEP]


def let_nobody_in(listening: socket.socket) -> None:
    """Have the kernel answer no new client. Those whom it has let in still stand in line for us.

    Closing the socket would cut those off. A client that is not answered asks again after a second and is refused, as
    the socket is closed by then. Only Linux and TCP can do it: elsewhere nothing happens.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in NOBODY_NEW))
    with suppress(OSError):
        where = struct.pack("HP", len(NOBODY_NEW), ctypes.addressof(program))
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, where)
