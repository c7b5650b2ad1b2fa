"""What a message names: an order number, a phone number. Read by rule, so that what is looked up is what was written."""

from __future__ import annotations

import re
import unicodedata

from pydantic import BaseModel

from zhilu.apps.support.answer.orders import OrderTable, canonical_number, digits_of

__all__ = ["Slots", "read_slots"]

# A run of Latin letters and digits with single marks inside; bounded, so linear on any text.
_TOKEN = re.compile(r"[0-9A-Za-z](?:[-_/ ]?[0-9A-Za-z]){1,39}")
_PHONE = re.compile(r"\+?[0-9](?:[ ()-]?[0-9]){3,18}")


class Slots(BaseModel):
    """``number``: of an order that is there; ``unknown``: built as one, but of no order; ``phone``: four digits or more."""

    number: str | None = None
    unknown: str | None = None
    phone: str | None = None


def read_slots(text: str, orders: OrderTable, *, expects_phone: bool = False) -> Slots:
    """``expects_phone``: the customer was asked for one, so that four digits alone are one's end."""
    text = unicodedata.normalize("NFKC", text)[:4000]
    number = unknown = None
    rest = text
    for token in _tokens(text):
        order = orders.find(token)
        if order is not None:
            number = order.number
            rest = rest.replace(token, " ", 1)
            break
        if unknown is None and any(c.isdigit() for c in token) and orders.is_like_a_number(token):
            unknown = token
            if not expects_phone or not token.isdigit():
                rest = rest.replace(token, " ", 1)
    phones = [digits_of(p) for p in _PHONE.findall(rest)]
    phone = next((p for p in phones if len(p) >= 8), None)
    if phone is None and expects_phone:
        phone = next((p for p in phones if len(p) >= 4), None)
    if phone is not None and unknown is not None and canonical_number(unknown) == phone:
        unknown = None if expects_phone else unknown
    return Slots(number=number, unknown=None if number else unknown, phone=phone)


def _tokens(text: str) -> list[str]:
    """Words that may be a number, and what two or three neighbours make together: "LH 20411", "order LH20411"."""
    found: list[str] = []
    for run in _TOKEN.findall(text):
        words = [w for w in re.split(r"[ ]", run) if w]
        for size in (1, 2, 3):
            found += [" ".join(words[i : i + size]) for i in range(len(words) - size + 1)]
    return [word for word in dict.fromkeys(found) if any(c.isdigit() for c in word)]
