"""Every error the product raises on purpose.

::

    ZhiluError                exit 1  http 500
    ├── InputError            exit 2  http 400   what was given cannot be used
    │   ├── SettingsError     exit 2  http 400   a setting is unknown or out of range
    │   ├── UnsupportedError  exit 2  http 400   a parameter is unknown, or this engine cannot do it: named, never ignored
    │   ├── NotFoundError     exit 2  http 404
    │   ├── ConflictError     exit 2  http 409
    │   ├── TooLargeError     exit 2  http 413
    │   ├── AuthError         exit 2  http 401   no key, or a wrong one
    │   └── ForbiddenError    exit 2  http 403   a foreign Host or Origin, or a role that may not
    ├── MissingComponentError exit 3  http 501   not installed or not possible here; ``fix`` installs it
    ├── UpstreamError         exit 1  http 502   an engine or hub answered wrongly
    │   └── UnreachableError  exit 1  http 503   it did not answer at all
    ├── StorageError          exit 1  http 507   the disk is full, or the folder cannot be written
    │   └── DamagedError      exit 1  http 507   a file of the data home is damaged; ``fix`` mends it
    ├── BusyError             exit 1  http 429   come back in ``retry_after`` seconds
    └── CancelledByUser       exit 1  http 499

A message says what happened and what was given; ``fix`` is the next command, ready to paste. A password in a URL never
stands in a message: it is masked here, once for all who raise.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from zhilu.messages import T, current_lang

__all__ = [
    "AuthError",
    "BusyError",
    "CancelledByUser",
    "ConflictError",
    "DamagedError",
    "ForbiddenError",
    "InputError",
    "MissingComponentError",
    "NotFoundError",
    "SettingsError",
    "StorageError",
    "TooLargeError",
    "UnreachableError",
    "UnsupportedError",
    "UpstreamError",
    "ZhiluError",
    "error_body",
    "mask_passwords",
    "nearest",
]

# A user name alone can be the secret (a hub's token), so all that stands before the "@" goes. Bounded: linear on any text.
_USERINFO = re.compile(r"://[^\s/?#\"']{1,1000}@")


def mask_passwords(text: str) -> str:
    """``text`` with ``://user:password@`` of every URL in it as ``://***@``."""
    return _USERINFO.sub("://***@", text) if "://" in text else text


class ZhiluError(Exception):
    """Base of the tree.

    Args:
        message: what happened and what was given, in both languages.
        param: the request field or setting at fault, if there is one.
        code: a stable machine-readable name; by default the class's ``kind``.
        fix: the command that mends it or the next step.
    """

    exit_code = 1
    http_status = 500
    kind = "internal_error"

    def __init__(
        self, message: T | str, *, param: str | None = None, code: str | None = None, fix: str | None = None
    ) -> None:
        message = T.of(message)
        self.message = T(mask_passwords(message.en), mask_passwords(message.zh))
        self.param = param
        self.code = code or self.kind
        self.fix = mask_passwords(fix) if fix else fix
        super().__init__(self.message.en)

    def __str__(self) -> str:
        return self.message.say()


class InputError(ZhiluError):
    exit_code = 2
    http_status = 400
    kind = "invalid_request_error"


class SettingsError(InputError):
    kind = "invalid_setting"


class UnsupportedError(InputError):
    kind = "unsupported_parameter"


class NotFoundError(InputError):
    http_status = 404
    kind = "not_found"


class ConflictError(InputError):
    http_status = 409
    kind = "conflict"


class TooLargeError(InputError):
    http_status = 413
    kind = "too_large"


class AuthError(InputError):
    http_status = 401
    kind = "authentication_error"


class ForbiddenError(InputError):
    http_status = 403
    kind = "forbidden"


class MissingComponentError(ZhiluError):
    exit_code = 3
    http_status = 501
    kind = "missing_component"


class UpstreamError(ZhiluError):
    http_status = 502
    kind = "upstream_error"


class UnreachableError(UpstreamError):
    http_status = 503
    kind = "unreachable"


class StorageError(ZhiluError):
    http_status = 507
    kind = "storage"


class DamagedError(StorageError):
    kind = "damaged"


class BusyError(ZhiluError):
    """All slots are taken; ``retry_after`` is in seconds."""

    http_status = 429
    kind = "rate_limit_exceeded"

    def __init__(self, message: T | str, *, retry_after: int = 1, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.retry_after = retry_after


class CancelledByUser(ZhiluError):
    http_status = 499
    kind = "cancelled"


def error_body(error: ZhiluError, lang: str | None = None) -> dict[str, Any]:
    """The OpenAI-shaped error object; ``messages`` and ``fix`` are ours, and other clients ignore them."""
    is_input = isinstance(error, InputError)
    return {
        "error": {
            "message": error.message.say(lang or current_lang()),
            "type": "invalid_request_error" if is_input else error.kind,
            "param": error.param,
            "code": error.code,
            "fix": error.fix,
            "messages": error.message.data(),
        }
    }


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice a person most likely meant, if one is close."""
    found = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return found[0] if found else None
