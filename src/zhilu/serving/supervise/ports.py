"""A free loopback port that nobody else is given before the engine binds it."""

from __future__ import annotations

import socket

__all__ = ["reserve_port"]


def reserve_port(host: str = "127.0.0.1") -> int:
    """Reserve a port and return it.

    Asking for port 0 and closing the socket leaves a gap in which the kernel may hand the same port to another process.
    A connection that was accepted and closed by the server's side leaves the port in TIME_WAIT (a minute on Linux):
    the kernel gives it to nobody who asks for *any* port, while a server that binds it by number with SO_REUSEADDR, as
    every Python server does on POSIX, gets it.
    """
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, 0))
        server.listen(1)
        with socket.socket() as client:
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first is the one that stays in TIME_WAIT
            client.recv(1)
        return int(server.getsockname()[1])
