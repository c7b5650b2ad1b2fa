"""One message answered: rules before the model, facts from the table alone, a person where nothing answers."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from zhilu.apps.support.answer.evidence import open_intents
from zhilu.apps.support.answer.faq import match
from zhilu.apps.support.answer.meaning import Meanings
from zhilu.apps.support.answer.orders import OrderTable
from zhilu.apps.support.answer.turn import DocumentAnswer, Known, SupportMemory, TurnReply, answer_turn
from zhilu.apps.support.desks import FaqEntry
from zhilu.apps.support.sample import sample_faqs, sample_orders
from zhilu.errors import InputError, NotFoundError


class Server:
    """A server without an embedder, whose model says what it is told to."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.asked: list[dict[str, Any]] = []

    async def chat(self, messages: list[dict[str, str]], **rest: Any) -> dict[str, Any]:
        self.asked.append({"messages": messages, **rest})
        if not self.replies:
            raise NotFoundError("no model")
        return {"choices": [{"message": {"content": self.replies.pop(0)}, "finish_reason": "stop"}]}

    async def embeddings(self, *_: Any, **__: Any) -> Any:
        raise NotFoundError("no embedder")


FAQS = [FaqEntry(id=str(n), **wish.model_dump()) for n, wish in enumerate(sample_faqs())]
RETURNS = 2


class Talk:
    def __init__(self, folder: Path, server: Server, lang: Any = "en", **known: Any) -> None:
        table = OrderTable(folder)
        if lang is not None:
            path = sample_orders(lang)
            table.put(path.read_bytes(), path.name)
        self.memory = SupportMemory()
        client: Any = server
        self.known = Known(faqs=FAQS, orders=table, client=client, model="m", meanings=Meanings(), **known)

    def say(self, text: str) -> TurnReply:
        return asyncio.run(answer_turn(text, self.memory, self.known))


def sorted_as(intent: str) -> str:
    return json.dumps({"intent": intent})


def test_an_order_is_told_once_number_and_phone_fit(tmp_path: Path) -> None:
    talk = Talk(tmp_path, server := Server())
    assert "order number" in talk.say("where is my order?").text
    assert "LH-99999" in talk.say("LH-99999").text
    assert "last four digits" in talk.say("sorry, LH-20413").text
    wrong = talk.say("9999")
    assert "not the phone number" in wrong.text and wrong.details["wrong"] == "LH-20413"
    told = talk.say("0123")
    assert told.details == {"order": "LH-20413"}
    for fact in ("LH-20413", "delivered", "JD0146003412", "56.50 EUR", "2026-11-16"):
        assert fact in told.text
    assert "Anna" not in told.text and "447700900123" not in told.text
    assert server.asked == [], "no model has a part in it"
    assert "LH-20413" in talk.say("track my order").text, "the number is remembered, and the phone"


def test_who_guesses_phones_is_handed_over(tmp_path: Path) -> None:
    talk = Talk(tmp_path, Server())
    talk.say("LH-20413")
    assert [talk.say(n).hand_over for n in ("1111", "2222", "3333")] == [None, None, "phone"]
    closed = Talk(tmp_path, Server(), may_try=lambda number: number != "LH-20413")
    closed.say("LH-20413")
    reply = closed.say("0123")
    assert reply.hand_over == "phone" and "JD014" not in reply.text, (
        "even the right one, after too many tries elsewhere"
    )


def test_a_whole_phone_number_must_fit_as_a_whole(tmp_path: Path) -> None:
    talk = Talk(tmp_path, Server())
    talk.say("LH-20413")
    assert "not the phone" in talk.say("+44 7700 111 0123").text
    assert "delivered" in talk.say("+44 7700 900 123").text


def test_a_phone_finds_the_order_of_a_product(tmp_path: Path) -> None:
    talk = Talk(tmp_path, Server())
    talk.say("where is my order")
    several = talk.say("I lost the number, my phone is 447700900111")
    assert "LH-20411" in several.text and "LH-20416" in several.text and "shipped" not in several.text
    one = Talk(tmp_path, Server())
    one.say("where is my order")
    assert one.say("it was the trekking poles, phone 447700900111").details == {"order": "LH-20416"}


def test_without_phones_in_the_table_the_number_is_enough(tmp_path: Path) -> None:
    talk = Talk(tmp_path / "a", Server(), lang=None)
    talk.known.orders.put(b"order_no,state\nA-1,ready\n", "x.csv")
    assert "ready" in talk.say("A-1").text
    free = Talk(tmp_path / "b", Server(), verify_phone=False)
    assert "delivered" in free.say("LH-20413").text


def test_the_language_is_the_customers(tmp_path: Path) -> None:
    talk = Talk(tmp_path, Server(), lang="zh")
    assert talk.say("我的快递到哪了").text == "请提供您的订单号。"
    assert "后四位" in talk.say("DX202611005").text
    assert "JDX008812345" in talk.say("4444").text and "运单号" in talk.say("查一下我的订单").text


def test_a_canned_answer_that_is_surely_meant_needs_no_model(tmp_path: Path) -> None:
    talk = Talk(tmp_path, server := Server())
    reply = talk.say("怎么退货")
    assert (reply.by, reply.details["faq"], reply.details["sure"]) == ("faq", str(RETURNS), True)
    assert talk.say("How do I return something?").text.startswith("You may return")
    assert server.asked == []


def test_a_question_behind_a_greeting_is_found_and_two_questions_are_not_one(tmp_path: Path) -> None:
    for text in ("你好，怎么退货？", "Hello! I bought a lamp from you. How do I return something?"):
        assert Talk(tmp_path, Server()).say(text).details["faq"] == str(RETURNS), text
    both = asyncio.run(match("怎么退货？怎么取消订单？", FAQS, None, Meanings()))
    assert not any(c.sure for c in both) and {c.entry.id for c in both[:2]} == {str(RETURNS), "4"}


def test_words_inside_other_words_are_no_hit() -> None:
    for text in (
        "the returning hero of the saga",
        "payment",
        "在",
        "a",
        "delivery driver jobs near me",
        "退货率分析报告模板",
    ):
        found = asyncio.run(match(text, FAQS, None, Meanings()))
        assert not any(c.sure for c in found), text


def test_a_near_canned_answer_is_given_where_the_model_says_that_it_is_meant(tmp_path: Path) -> None:
    talk = Talk(tmp_path, server := Server("yes", "no", sorted_as("document"), "no", "no JSON"))
    reply = talk.say("refund to a gift card please")
    assert reply.by == "faq" and not reply.details["sure"]
    assert "refund to a gift card please" in server.asked[0]["messages"][-1]["content"]
    assert talk.say("refund to a gift card please").by == "nothing"
    schema = server.asked[2]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["intent"]["enum"] == ["document", "small_talk", "complaint"]
    assert talk.say("refund to a gift card please").intent == "document", "what is no JSON decides nothing"


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("How do I cancel my gym membership?", set()),
        ("请帮我取消健身房会员", set()),
        ("May I use the thing inside?", set()),
        ("is the ridge tent here soon", {"order"}),
        ("我买的东西呢", {"order"}),
        ("is there anybody who can help", {"person"}),
        ("能换个人来吗", {"person"}),
    ],
)
def test_the_model_is_offered_only_what_the_words_give_reason_for(tmp_path: Path, text: str, offered: set[str]) -> None:
    lang = "zh" if any("\u4e00" <= c <= "\u9fff" for c in text) else "en"
    talk = Talk(tmp_path, Server(), lang)
    assert set(open_intents(text, talk.known.orders, goes_on=False)) & {"order", "person"} == offered
    assert "order" in open_intents(text, talk.known.orders, goes_on=True)


@pytest.mark.parametrize(("yes", "by"), [(0.9, "faq"), (0.6, "nothing")])
def test_a_model_that_hesitates_has_not_said_yes(tmp_path: Path, yes: float, by: str) -> None:
    class Telling(Server):
        async def chat(self, messages: list[dict[str, str]], **rest: Any) -> dict[str, Any]:
            reply = await super().chat(messages, **rest)
            if rest.get("logprobs"):
                told = [{"token": t, "logprob": math.log(p)} for t, p in (("yes", yes), (" No", 1 - yes))]
                reply["choices"][0]["logprobs"] = {"content": [{"token": "yes", "top_logprobs": told}]}
            return reply

    server = Telling("yes", sorted_as("document"), sorted_as("document"))
    assert Talk(tmp_path, server).say("refund to a gift card please").by == by


def test_a_stranger_is_no_order_and_no_canned_answer(tmp_path: Path) -> None:
    """A model that would call everything an order cannot do so here, and one that says no gets no canned answer."""
    for text in ("How do I cancel my gym membership?", "请帮我取消健身房会员"):
        talk = Talk(tmp_path, server := Server(*["no"] * 2, *[sorted_as("order")] * 2))
        reply = talk.say(text)
        assert (reply.by, reply.intent, reply.hand_over) == ("nothing", "document", None), text
        assert server.asked


@pytest.mark.parametrize(("intent", "hand_over"), [("person", "asked"), ("complaint", "complaint")])
def test_the_model_may_send_to_a_person(tmp_path: Path, intent: str, hand_over: str) -> None:
    reply = Talk(tmp_path, Server(sorted_as(intent))).say(
        "the zip broke on the first night, I am furious, will somebody see to it"
    )
    assert (reply.intent, reply.hand_over) == (intent, hand_over)


def test_documents_answer_and_a_miss_offers_a_person(tmp_path: Path) -> None:
    async def documents(question: str) -> DocumentAnswer | None:
        return DocumentAnswer("1.9 kg [1]", [{"doc_name": "tents.md"}]) if "Ridge" in question else None

    sort = [sorted_as("document")] * 5
    talk = Talk(tmp_path, Server(*sort), documents=documents)
    found = talk.say("what is the weight of the Ridge 2")
    assert (found.by, found.text) == ("document", "1.9 kg [1]")
    missed = talk.say("who is the president of the moon")
    assert missed.by == "nothing" and missed.hand_over is None and talk.memory.offered
    assert talk.say("yes please").hand_over == "asked"
    again = Talk(tmp_path, Server(*sort), documents=documents)
    again.say("who is the president of the moon")
    assert again.say("no thanks").hand_over is None
    assert again.say("and of mars").hand_over == "unanswered", "two in a row"


def test_the_models_small_talk_says_nothing_that_binds(tmp_path: Path) -> None:
    replies = ["Nice to meet you!", "You get 50 % off!", "see http://evil.example", "x" * 400]
    for said in replies:
        talk = Talk(tmp_path, Server(sorted_as("small_talk"), said))
        reply = talk.say("you sound like a nice robot today")
        assert (reply.text == said) is (said == replies[0]), said


@pytest.mark.parametrize(
    "asked",
    ["What is the weather like in Wien today?", "今天北京天气怎么样？", "tell me who won the cup", "告诉我明天的汇率"],
)
def test_what_the_model_takes_for_small_talk_is_not_made_up(tmp_path: Path, asked: str) -> None:
    talk = Talk(tmp_path, Server(sorted_as("small_talk"), "It is sunny and warm."))
    reply = talk.say(asked)
    assert reply.by == "nothing" and talk.memory.offered, reply.text


@pytest.mark.parametrize(
    "asked", ["How are you today?", "are you a robot", "你是机器人吗？", "您好吗", "What's your name?"]
)
def test_a_question_about_the_assistant_is_small_talk(tmp_path: Path, asked: str) -> None:
    assert Talk(tmp_path, Server(sorted_as("small_talk"), "I am an assistant.")).say(asked).text == "I am an assistant."


def test_documents_that_answer_without_a_word_are_a_miss(tmp_path: Path) -> None:
    async def documents(question: str) -> DocumentAnswer | None:
        return DocumentAnswer(" ")

    talk = Talk(tmp_path, Server(sorted_as("document")), documents=documents)
    reply = talk.say("may I use a stove inside a tent")
    assert reply.by == "nothing" and reply.text.strip()


def test_a_number_within_a_long_complaint_is_no_order_question(tmp_path: Path) -> None:
    text = "LH-20413 arrived with a broken valve and smells of gas, this is dangerous and I am angry"
    assert Talk(tmp_path, Server(sorted_as("complaint"))).say(text).hand_over == "complaint"
    assert "last four" in Talk(tmp_path, Server(sorted_as("document"))).say(text).text, "else it is the order"


def test_without_an_order_table_orders_go_to_a_person(tmp_path: Path) -> None:
    talk = Talk(tmp_path, Server(sorted_as("order")), lang=None)
    assert "cannot look up orders" in talk.say("where is my order").text
    assert talk.say("ok").hand_over == "asked"


def test_a_database_is_taken_in_and_a_hostile_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "given.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (a)")
    connection.execute('CREATE TABLE "the orders" ("Order Number" TEXT, "a""b" TEXT, _key TEXT)')
    connection.execute('INSERT INTO "the orders" VALUES (?, ?, ?)', ("Z 7", "'; DROP TABLE orders; --", "k"))
    connection.commit()
    connection.close()
    table = OrderTable(tmp_path / "desk")
    info = table.put(path.read_bytes(), "../../given.db")
    assert info.origin == "given.db" and info.num_rows == 1
    found = table.find("z-7")
    assert found is not None and found.facts['a"b'] == "'; DROP TABLE orders; --"
    assert table.find("' OR 1=1 --") is None and table.find("") is None
    for data in (b"", b"\x00\x01\x02", b"SQLite format 3\x00" + b"x" * 200, b"order_no\n", b"a,b\n1,2\n"):
        with pytest.raises(InputError):
            table.put(data, "x.csv")
    assert table.find("z-7") is not None, "what was there stays"
