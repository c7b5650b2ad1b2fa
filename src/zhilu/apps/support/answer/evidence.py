"""What a message gives reason to take it for. A small model sorts "cancel my gym membership" under orders, since nothing else of a
shop is near; where no word of a message speaks of an order or of a person, the model is not offered that intent.
"""

from __future__ import annotations

import re
import unicodedata

from zhilu.apps.support.answer.orders import OrderTable
from zhilu.prompts.support import INTENTS
from zhilu.text.terms import content_terms

__all__ = ["open_intents"]

_ORDER = re.compile(
    r"\b(?:order(?:s|ed|ing)?|parcels?|packages?|shipments?|ship(?:s|ped|ping)?|deliver(?:y|ies|ed|s)?|arriv(?:e|es|ed|ing)|dispatch(?:ed)?"
    r"|sent|tracking|courier|bought|purchas(?:e|es|ed)|paid|my stuff|my things)\b"
    r"|订单|单号|下单|包裹|快递|物流|发货|发出|到货|收货|收到|送到|送达|寄|买的|买了|配送|派送|签收|付款|付了|我的东西|我的货"
)
_PERSON = re.compile(
    r"\b(?:humans?|persons?|people|someone|somebody|anyone|anybody|agents?|representatives?|operators?|managers?|staff|employees?"
    r"|colleagues?|boss|talk|speak|call me|phone me|ring me|escalate)\b"
    r"|人工|真人|活人|客服|专员|人员|有人|找人|换人|个人来|经理|老板|主管|负责人|同事|打电话|联系我|回电"
)


def open_intents(text: str, orders: OrderTable, *, goes_on: bool) -> tuple[str, ...]:
    """The intents that the model may choose of; ``goes_on``: an order was spoken of before, so any word may be about it."""
    said = unicodedata.normalize("NFKC", text).lower()
    closed = set()
    if not (goes_on or _ORDER.search(said) or _names_a_product(said, orders)):
        closed.add("order")
    if not _PERSON.search(said):
        closed.add("person")
    return tuple(intent for intent in INTENTS if intent not in closed)


def _names_a_product(said: str, orders: OrderTable) -> bool:
    words = {word for word in content_terms(said) if len(word) > 1}
    return any(words.intersection(content_terms(product)) for product in orders.products())
