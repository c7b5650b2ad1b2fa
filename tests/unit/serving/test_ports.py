"""Reserved ports: ours to bind, and nobody else's to be given."""

import socket
import sys

import pytest

from zhilu.serving.supervise.ports import reserve_port


def test_a_reserved_port_can_be_bound_by_number() -> None:
    port = reserve_port()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()


def test_many_reservations_are_all_different() -> None:
    ports = [reserve_port() for _ in range(50)]
    assert len(set(ports)) == 50


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold a port in TIME_WAIT by rules of their own")
def test_the_system_gives_a_reserved_port_to_nobody_else() -> None:
    reserved = {reserve_port() for _ in range(20)}
    others = [socket.socket() for _ in range(400)]
    try:
        for other in others:
            other.bind(("127.0.0.1", 0))
        assert not reserved & {other.getsockname()[1] for other in others}
    finally:
        for other in others:
            other.close()
