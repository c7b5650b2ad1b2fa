"""Runs the application: uvicorn on h11, one process per data home, and a file that says where it answers.

h11 is used instead of httptools because the JDK's HttpClient sends ``Upgrade: h2c``, and uvicorn with httptools then loses the
body of the POST (uvicorn#2722). ``tests/e2e/test_kill.py`` and the gateway contract test this on a raw socket.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import uvicorn

from zhilu.client import GATEWAY_FILE, running_gateway
from zhilu.context import Context
from zhilu.errors import ConflictError, InputError
from zhilu.home import atomic_write, file_lock
from zhilu.host.security import is_loopback
from zhilu.host.ui import Early
from zhilu.messages import T
from zhilu.process import mine

__all__ = ["listen", "run_app"]


def listen(host: str, port: int, command: str = "zhilu up") -> socket.socket:
    """A listening socket; port 0 takes a free one. ``command``: what was asked for, for the advice in an error.

    Raises:
        ConflictError: the port is taken; names who holds it where the system tells.
        InputError: the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        if error.errno in (48, 98):  # EADDRINUSE on macOS and Linux
            holder = _holder(port)
            raise ConflictError(
                T(f"Port {port} is taken{holder.en}.", f"端口 {port} 已被占用{holder.zh}。"),
                param="port",
                fix=f"{command} --port {port + 1}",
            ) from error
        raise InputError(
            T(
                f"Cannot listen on {host!r} port {port}: {error.strerror}.",
                f"无法监听 {host!r} 端口 {port}：{error.strerror}。",
            ),
            param="host",
            fix=f"{command} --host 127.0.0.1",
        ) from error
    sock.listen(2048)
    return sock


def _holder(port: int) -> T:
    try:
        for item in psutil.net_connections("tcp"):
            if item.laddr and item.laddr.port == port and item.status == psutil.CONN_LISTEN and item.pid:
                name = psutil.Process(item.pid).name()
                return T(f" by {name} (pid {item.pid})", f"，占用者是 {name}（pid {item.pid}）")
    except psutil.Error:
        pass
    return T("", "")


def run_app(
    context: Context,
    make_app: Callable[[], Any],
    *,
    ephemeral: bool = False,
    register: bool = True,
    early_page: bool = False,
    command: str = "zhilu up",
    ready_file: Path | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until told to stop.

    Args:
        make_app: builds the ASGI application once the port and the home are ours.
        ephemeral: take no lock, leave no ``gateway.json``, and stop when stdin ends (the parent is gone).
        register: False for a second server on this data home (``zhilu serve``): no lock, no ``gateway.json``.
        early_page: answer with the page's files while the application is still being made; ``on_ready`` is then called
            when they are answered, and every other request waits.
        command: as it was given, for the advice in errors.
        ready_file: written with ``{"url", "pid"}`` once requests are answered.
        on_ready: called with the URL at the same moment.

    Raises:
        ConflictError: a gateway already runs on this data home, or the port is taken.
        InputError: listening beyond loopback without a key.
    """
    settings = context.settings
    register = register and not ephemeral
    if not is_loopback(settings.host) and not settings.api_key:
        raise InputError(
            T(
                f"Listening on {settings.host!r} lets others on the network in, and no key is set.",
                f"监听 {settings.host!r} 会让网络上的其他人访问，而你还没有设置密钥。",
            ),
            param="api_key",
            fix="zhilu settings set api_key $(openssl rand -hex 16)",
        )
    with ExitStack() as stack:
        if register and not stack.enter_context(file_lock(context.home.run / "gateway.lock", blocking=False)):
            url = running_gateway(context.home.run) or "?"
            raise ConflictError(
                T(f"Zhilu already runs on this data home, at {url}.", f"指路已经在这个数据目录上运行，地址是 {url}。"),
                fix=f"open {url}",
            )
        sock = stack.enter_context(listen(settings.host, 0 if ephemeral else settings.port, command))
        port = sock.getsockname()[1]
        shown = settings.host if settings.host not in ("0.0.0.0", "::") else "127.0.0.1"
        url = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
        state = {"url": url, **mine().note()}
        if settings.source_of("model") in ("flag", "env"):  # what other commands cannot read in the settings' file
            state["model"] = settings.model

        def ready() -> None:
            if register:
                atomic_write(context.home.run / GATEWAY_FILE, json.dumps(state))
            if ready_file:
                atomic_write(ready_file, json.dumps(state))
            if on_ready and not early_page:
                on_ready(url)

        early = (
            Early(make_app, host=settings.host, on_ready=ready, on_failure=lambda: server.stop())
            if early_page
            else None
        )
        config = uvicorn.Config(
            early or make_app(),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
        logging.getLogger("uvicorn.error").addFilter(_no_upgrade_warning)
        server = _Server(config)
        server.ready = ready if early is None else lambda: on_ready(url) if on_ready else None
        if ephemeral:
            threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
        try:
            server.run(sockets=[sock])
        finally:
            if register:
                (context.home.run / GATEWAY_FILE).unlink(missing_ok=True)
        if early is not None and early.failure is not None:
            raise early.failure


def _no_upgrade_warning(record: logging.LogRecord) -> bool:
    """The JDK's HttpClient asks for HTTP/2 with every request and is content with HTTP/1.1; uvicorn warns of a WebSocket."""
    return not str(record.msg).startswith(("Unsupported upgrade request", "No supported WebSocket library"))


class _Server(uvicorn.Server):
    """uvicorn, telling when it answers."""

    ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self.ready()

    def stop(self) -> None:
        self.should_exit = True


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True
