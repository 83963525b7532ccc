"""What the plugin starts instead of ``meerkat editor`` when the test itself plays the server.

Copies standard input to a Unix socket of the test's and the socket to standard output.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

_CHUNK = 1 << 16


def _copy_in(connection: socket.socket) -> None:
    while data := os.read(0, _CHUNK):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def main() -> None:
    """Copy until either end is closed."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        threading.Thread(target=_copy_in, args=(connection,), daemon=True).start()
        while data := connection.recv(_CHUNK):
            while data:
                data = data[os.write(1, data) :]
    os._exit(0)


if __name__ == "__main__":
    main()
