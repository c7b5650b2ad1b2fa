from __future__ import annotations

import socket

import pytest

from zhilu.context import open_context
from zhilu.errors import ConflictError, InputError
from zhilu.home import file_lock
from zhilu.host.server import listen, run_app


def test_a_taken_port_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError) as caught:
            listen("127.0.0.1", port)
    assert str(port) in caught.value.message.en
    assert caught.value.fix == f"zhilu up --port {port + 1}"


def test_the_advice_is_the_verb_that_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError) as caught:
            listen("127.0.0.1", port, "zhilu serve qwen")
    assert caught.value.fix == f"zhilu serve qwen --port {port + 1}"


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InputError, match="Cannot listen"):
        listen("192.0.2.1", 0)


def test_beyond_loopback_without_a_key_is_refused() -> None:
    context = open_context({"host": "0.0.0.0"})
    with pytest.raises(InputError, match="no key"):
        run_app(context, lambda: None)


def test_one_gateway_a_home() -> None:
    context = open_context({"port": 0})
    with file_lock(context.home.run / "gateway.lock"), pytest.raises(ConflictError, match="already runs"):
        run_app(context, lambda: None)
