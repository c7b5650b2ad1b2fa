"""Passwords: scrypt (RFC 7914) with a salt of each one's own, the parameters beside the hash so that they can grow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import cache

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["checked_password", "hashed", "matches"]

# OWASP's "Password Storage Cheat Sheet": N = 2^15, r = 8, p = 3, here 32 MB and about a tenth of a second.
_N, _R, _P = 2**15, 8, 3
_SHORTEST, _LONGEST = 10, 1024


def checked_password(password: str, name: str) -> str:
    """
    Raises:
        InputError: shorter than 10 characters, endless, or the name again.
    """
    if not _SHORTEST <= len(password) <= _LONGEST or password.strip().lower() == name.lower() or len(set(password)) < 4:
        raise InputError(
            T(
                f"A password has at least {_SHORTEST} characters, not all alike, and is not the name.",
                f"密码至少 {_SHORTEST} 个字符，不能全部相同，也不能与用户名相同。",
            ),
            param="password",
        )
    return password


def hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_scrypt(password, salt, _N, _R, _P))}"


def matches(password: str, stored: str | None) -> bool:
    """Takes as long for nobody as for somebody, so that names cannot be guessed by the clock."""
    _, n, r, p, salt, kept = (stored or _nobody()).split("$")
    found = _scrypt(password[:_LONGEST], base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(kept)) and stored is not None


@cache
def _nobody() -> str:
    return hashed(secrets.token_urlsafe(16))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=2**27, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
