"""Bilingual text: every message a person reads exists in English and Chinese, side by side in the code.

There is no catalogue and there are no keys: ``T(en=..., zh=...)`` is written where the message is made, so a translation cannot
drift from its use. The language is chosen once per command or request: flag, setting, ``Accept-Language`` or locale.
"""

from __future__ import annotations

import locale
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple

__all__ = ["LANGS", "Lang", "T", "current_lang", "pick_lang", "set_lang", "system_lang", "use_lang"]

Lang = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = ("en", "zh")


class T(NamedTuple):
    """One message in both languages."""

    en: str
    zh: str

    def say(self, lang: str | None = None) -> str:
        """The text in ``lang``, by default in the language of the command or request in progress."""
        return self.zh if (lang or current_lang()) == "zh" else self.en

    def data(self) -> dict[str, str]:
        """The wire form ``{"en", "zh"}``: the UI switches language without asking again."""
        return {"en": self.en, "zh": self.zh}

    @classmethod
    def of(cls, value: T | str | Mapping[str, str]) -> T:
        """Read back what ``data`` wrote; a plain string counts for both languages."""
        if isinstance(value, T):
            return value
        if isinstance(value, str):
            return cls(value, value)
        return cls(value["en"], value["zh"])

    def __str__(self) -> str:
        return self.say()


_lang: ContextVar[Lang | None] = ContextVar("zhilu_lang", default=None)


def system_lang(env: Mapping[str, str] | None = None) -> Lang:
    """Chinese where the locale's variables say so, else English."""
    env = os.environ if env is None else env
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if env.get(name):
            return "zh" if env[name].lower().startswith("zh") else "en"
    tag = locale.getlocale()[0] or ""
    return "zh" if tag.lower().startswith(("zh", "chinese")) else "en"


def current_lang() -> Lang:
    return _lang.get() or system_lang()


def set_lang(lang: str) -> None:
    """Fix the language for this thread of control; ``auto`` goes back to the locale."""
    _lang.set("zh" if lang == "zh" else "en" if lang == "en" else None)


@contextmanager
def use_lang(lang: str) -> Iterator[None]:
    token = _lang.set("zh" if lang == "zh" else "en" if lang == "en" else None)
    try:
        yield
    finally:
        _lang.reset(token)


def pick_lang(accept_language: str | None, fallback: Lang | None = None) -> Lang:
    """The first of our languages in an ``Accept-Language`` header, by its quality values (RFC 9110, 12.5.4)."""
    ranked: list[tuple[float, int, Lang]] = []
    for position, part in enumerate((accept_language or "").split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        primary = tag.split("-")[0].lower()
        if primary in LANGS and weight > 0:
            ranked.append((-weight, position, "zh" if primary == "zh" else "en"))
    return min(ranked)[2] if ranked else fallback or system_lang()
