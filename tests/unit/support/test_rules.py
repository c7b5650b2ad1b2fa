"""What rules say of a message, and which numbers they read in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhilu.apps.support.answer.intents import by_rule, yes_or_no
from zhilu.apps.support.answer.orders import OrderTable
from zhilu.apps.support.answer.slots import read_slots
from zhilu.apps.support.desks import origin_of
from zhilu.apps.support.sample import sample_orders


@pytest.mark.parametrize(
    "text",
    [
        "I want to talk to a human",
        "Can I speak with a real person, please?",
        "connect me to an agent",
        "give me a human NOW",
        "agent!",
        "转人工",
        "人工客服",
        "我要找真人",
        "帮我转接客服",
        "请叫你们的人工来",
        "我想和真人聊",
        "ｈｕｍａｎ",
    ],
)
def test_a_person_is_wanted(text: str) -> None:
    assert by_rule(text) == "person"


@pytest.mark.parametrize(
    "text",
    [
        "Is this a real person?",
        "I do not want to talk to a human",
        "no need to connect me to an agent",
        "what human resources jobs do you have",
        "不用转人工，谢谢",
        "我不想找客服",
        "人工智能是什么",
        "人工客服几点下班",
        "这个灯要人工费吗",
        "do you sell personal alarms",
        "the agent orange documentary",
        "工人帐篷",
    ],
)
def test_no_person_is_wanted(text: str) -> None:
    assert by_rule(text) != "person"


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("where is my order", "order"),
        ("Where’s my parcel??", "order"),
        ("has my order shipped", "order"),
        ("track my package please", "order"),
        ("查一下我的订单", "order"),
        ("我的快递到哪了", "order"),
        ("包裹怎么还没收到", "order"),
        ("hi", "small_talk"),
        ("谢谢！", "small_talk"),
        ("我要投诉", "complaint"),
        ("I want to make a complaint", "complaint"),
        ("this is not a complaint, but how heavy is the tent", None),
        ("can I order two tents", None),
        ("where is my refund", None),
        ("订单怎么开发票", None),
        ("hi, how heavy is the tent", None),
        ("hierarchy", None),
    ],
)
def test_what_rules_say(text: str, intent: str | None) -> None:
    assert by_rule(text) == intent


def test_yes_and_no_are_whole_messages() -> None:
    assert [yes_or_no(t) for t in ("Yes, please!", "好的", "不用了。", "no")] == ["yes", "yes", "no", "no"]
    assert yes_or_no("yesterday") is None and yes_or_no("好的，可是灯坏了") is None and yes_or_no("now") is None


@pytest.fixture(params=["en", "zh"])
def orders(request: pytest.FixtureRequest, tmp_path: Path) -> OrderTable:
    path = sample_orders(request.param)
    table = OrderTable(tmp_path / "desk")
    table.put(path.read_bytes(), path.name)
    return table


@pytest.fixture
def shop(tmp_path: Path) -> OrderTable:
    table = OrderTable(tmp_path / "shop")
    table.put(sample_orders("en").read_bytes(), "orders.csv")
    return table


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("LH-20413", "LH-20413"),
        ("lh20413", "LH-20413"),
        ("my order LH 20413, where is it?", "LH-20413"),
        ("订单ＬＨ－２０４１３到哪了", "LH-20413"),
        ("#LH-20413!", "LH-20413"),
        ("order no. LH-20413 and not LH-99999", "LH-20413"),
    ],
)
def test_a_number_of_the_table_is_read(shop: OrderTable, text: str, number: str) -> None:
    assert read_slots(text, shop).number == number


def test_a_number_that_is_none_is_named_and_others_are_left_alone(shop: OrderTable) -> None:
    assert read_slots("where is LH-99999", shop).unknown == "LH-99999"
    for text in (
        "I paid 20413 euros",
        "XY-20413",
        "call me in 2026",
        "the Ridge 2",
        "LH-2041",
        "LH-204130",
        "20413",
        "",
    ):
        found = read_slots(text, shop)
        assert (found.number, found.unknown) == (None, None), text


def test_phones_are_read_whole_or_by_their_end_when_asked_for(shop: OrderTable) -> None:
    assert read_slots("my phone is +44 7700 900123", shop).phone == "447700900123"
    assert read_slots("0123", shop).phone is None
    assert read_slots("it ends in 0123", shop, expects_phone=True).phone == "0123"
    both = read_slots("LH-20413, phone 0123", shop, expects_phone=True)
    assert (both.number, both.phone) == ("LH-20413", "0123")


def test_the_samples_keep_what_is_private(orders: OrderTable) -> None:
    info = orders.info
    assert info is not None and info.chosen.phone is not None and info.chosen.product is not None
    assert not {"name", "phone", "收货人", "手机号"} & set(info.chosen.shown)
    assert len(info.chosen.shown) == 7


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://Shop.example/", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:8080", "http://shop.example:8080"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("shop.example", None),
        ("https://", None),
        ("*", None),
        ("https://*.shop.example", None),
        ("https://shop.example/page", None),
        ("https://shop.example?x", None),
        ("https://user@shop.example", None),
        ("javascript:alert(1)", None),
        ("https://shop.example:99999", None),
        ("null", None),
    ],
)
def test_an_origin_is_what_a_browser_sends(typed: str, origin: str | None) -> None:
    assert origin_of(typed) == origin
