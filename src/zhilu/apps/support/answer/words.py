"""What the desk says by rule, in the customer's language. Facts are put in from what was looked up, never by a model."""

from __future__ import annotations

from zhilu.apps.support.answer.orders import FoundOrder
from zhilu.messages import T
from zhilu.prompts.message import Lang

__all__ = [
    "ASK_NUMBER", "ASK_PHONE", "CLOSED", "GREETING", "HANDED_OVER", "HELLO", "NO_ORDERS", "OFFER", "SORRY", "STOPPED", "TAKEN",
    "THANKS", "TOO_MANY", "UNKNOWN", "WRONG_PHONE", "no_such_order", "order_text",
]  # fmt: skip

GREETING = T(
    "Hello! Ask me about orders, delivery, returns or our products, and a person whenever you like.",
    "您好！订单、配送、退换货或商品的问题都可以问我，也可以随时转人工。",
)
HELLO = T("Hello! What can I do for you?", "您好！请问有什么可以帮您？")
THANKS = T("You are welcome. Anything else?", "不客气，还有什么可以帮您？")
UNKNOWN = T(
    "I do not have an answer to that. Shall I hand you over to a person?",
    "这个问题我没有找到答案。需要为您转接人工客服吗？",
)
OFFER = T("Would you rather talk to a person?", "需要为您转接人工客服吗？")
SORRY = T("I am sorry about that. A person will look into it.", "非常抱歉给您带来不便，我们会请专人跟进。")
HANDED_OVER = T(
    "I have handed you over to a person. Your ticket is no. {ticket}; you can go on writing here.",
    "已为您转接人工客服，工单号 {ticket}。您可以继续在这里留言。",
)
TAKEN = T("{agent} is here now.", "{agent} 已接入，为您服务。")
CLOSED = T("This conversation is closed. How did we do, from 1 to 5?", "对话已结束。请为本次服务打分（1 到 5）。")
STOPPED = T("I could not finish that answer. Please ask again.", "刚才的回答没有完成，请再问一次。")
ASK_NUMBER = T("What is your order number?", "请提供您的订单号。")
ASK_PHONE = T(
    "To keep your order private: what are the last four digits of the phone number you ordered with?",
    "为保护您的订单信息，请提供下单手机号的后四位。",
)
WRONG_PHONE = T(
    "That is not the phone number of this order. Please check it, or ask for a person.",
    "这与订单的手机号不符。请核对后再试，或者转人工客服。",
)
TOO_MANY = T("That was wrong too often. A person will help you.", "多次核对不符，为您转接人工客服。")
NO_ORDERS = T(
    "I cannot look up orders here. Shall I hand you over to a person?", "这里无法查询订单。需要为您转接人工客服吗？"
)
_ORDER = T("Order {number}", "订单 {number}")
_NO_ORDER = T(
    "I find no order {number}. Please check the number; it is in the confirmation we sent you.",
    "没有找到订单 {number}。请核对订单号，可以在下单确认信息里找到。",
)


def order_text(order: FoundOrder, lang: Lang) -> str:
    """Every figure as it stands in the table."""
    colon = ": " if lang == "en" else "："
    facts = [f"{name.replace('_', ' ')}{colon}{value}" for name, value in order.facts.items()]
    return "\n".join([_ORDER.say(lang).format(number=order.number), *(facts or [order.product])])


def no_such_order(number: str, lang: Lang) -> str:
    return _NO_ORDER.say(lang).format(number=number)
