"""Hints at personal data and secrets: what a model learned by heart, it tells anybody."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from zhilu.messages import T

__all__ = ["find_personal"]


def _luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1, annex B)."""
    values = [int(d) for d in digits if d.isdigit()]
    doubled = [v if at % 2 == 0 else v * 2 - 9 * (v > 4) for at, v in enumerate(reversed(values))]
    return 13 <= len(values) <= 19 and len(set(values)) > 1 and sum(doubled) % 10 == 0


def _resident(number: str) -> bool:
    """The check character of a Chinese resident identity number (GB 11643-1999)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(d) * w for d, w in zip(number, weights, strict=False))
    return "10X98765432"[total % 11] == number[-1].upper()


def _any(_: str) -> bool:
    return True


_KINDS: tuple[tuple[str, T, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("email", T("an e-mail address", "电子邮箱"), re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,63}"), _any),
    ("phone", T("a Chinese mobile number", "手机号"), re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)"), _any),
    ("resident", T("a Chinese identity number", "身份证号"), re.compile(r"(?<!\d)[1-9]\d{16}[\dXx](?!\d)"), _resident),
    ("card", T("a card number", "银行卡号"), re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])"), _luhn),
    ("secret", T("what looks like a key", "疑似密钥"),
     re.compile(r"\b(?:sk-|ghp_|hf_|AKIA|xox[bp]-)[A-Za-z0-9_-]{16,128}|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"), _any),
)  # fmt: skip


def find_personal(text: str) -> Iterator[tuple[str, T, str]]:
    """``(kind, what it is, the find with its middle hidden)``, at most one of each kind."""
    for kind, name, pattern, is_real in _KINDS:
        found = next((match[0] for match in pattern.finditer(text) if is_real(match[0])), None)
        if found is not None:
            yield kind, name, f"{found[:3]}…{found[-2:]}"
