"""Structured logs to stderr: one event name with fields, as text for a person or as JSON lines for a machine.

Secrets never reach a log. Fields whose names look like a key are masked before anything is written, and so is the part of a URL
before its "@", anywhere in the line.
"""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import MutableMapping
from typing import Any

import structlog

from zhilu.errors import ZhiluError, mask_passwords
from zhilu.home import storage_error
from zhilu.messages import T

__all__ = ["as_error", "configure_logs", "get_logger", "quieten"]

_SECRET_WORDS = ("api_key", "authorization", "password", "secret", "token_value")


def get_logger(name: str) -> Any:
    """A logger: ``log.info("engine_started", model=..., pid=...)``."""
    return structlog.stdlib.get_logger(name)


def as_error(error: Exception, **fields: Any) -> ZhiluError:
    """Any exception as an error that can be told: ours as it is, the disk's in its words, another one by a number.

    The traceback of the last goes to the log under that number, which the person can quote; it may hold their data.
    """
    if isinstance(error, ZhiluError):
        return error
    if (problem := storage_error(error)) is not None:
        return problem
    number = uuid.uuid4().hex[:12]
    get_logger(__name__).error("unexpected_error", number=number, exc_info=error, **fields)
    return ZhiluError(
        T(
            f"Something unexpected went wrong; the log has it under {number}.",
            f"发生了意外错误；日志中的编号是 {number}。",
        ),
        fix="zhilu --log-level debug up",
    )


def _mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS) and event[key]:
            event[key] = "***"
    return event


def _masked(renderer: Any) -> Any:
    """The renderer, with the passwords of URLs out of the whole line: a traceback and a library's words hold them, too."""

    def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        return mask_passwords(str(renderer(logger, method, event)))

    return render


def configure_logs(level: str = "info", style: str = "text") -> None:
    """Send our logs and the standard library's (uvicorn, alembic) through one formatter to stderr."""
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _masked(renderer),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # httpx2 is what the official OpenAI client speaks through
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "alembic", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def quieten(level: int = logging.WARNING) -> None:
    """Log nothing below ``level``, here and in the processes that are started from here; a command does whose output is its own."""
    root = logging.getLogger()
    root.setLevel(max(level, root.level))
    os.environ["ZHILU_LOG_LEVEL"] = logging.getLevelName(root.level).lower()
