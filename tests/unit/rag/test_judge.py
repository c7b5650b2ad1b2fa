"""A model's own words against a passage: what is swapped, invented or denied falls; what cannot be judged says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from zhilu.rag.answer.claims import identifiers, missing_kind, missing_names, missing_numbered, stands_in
from zhilu.rag.answer.evidence import PassageEvidence
from zhilu.rag.answer.ground import Located
from zhilu.rag.answer.judge import judge
from zhilu.rag.retrieve.fusion import Worth

HOUSE = (
    "装修施工只能在工作日的上午八点到十二点进行，周末和节假日不得使用电动工具。装修前须向物业缴纳押金 2,000 元。\n"
    "电梯困人时，请拨打值班电话 6688-1024，维保人员会在三十分钟内到场。\n"
    "地下车位月租 380 元，地面车位月租 260 元。年假须提前一周向主管周敏申请。\n"
)
GYM = (
    "The gym closes at 22:00 every open day.\n\n| Plan | Monthly price | Guests |\n|---|---|---|\n| Basic | 24 euros | 0 |\n"
    "| Summit | 61 euros | 5 |\n\nMembers may pause for up to three months a year. Dogs are not allowed. Maren Holt runs the gym."
    " Lessons are given by Tobias Reke.\n"
)
PARTS = (
    "The part number of the fan is FX-70-B/1. The part number of the filter is FX-71-C/2. Version 2.1.0 was released on"
    " 17 September 2022. Version 2.10.1 was released on 5 October 2023.\n"
)


@pytest.mark.parametrize(
    ("passage", "question", "said", "support"),
    [
        (HOUSE, "地下车位一个月多少钱？", "380 元", "exact"),
        (HOUSE, "地下车位一个月多少钱？", "260 元", "beside"),
        (HOUSE, "地下车位一个月多少钱？", "地下车位月租 260 元。", "beside"),
        (HOUSE, "装修押金是多少？", "2000元", "exact"),
        (HOUSE, "装修押金是多少？", "3000元", "unsupported"),
        (HOUSE, "几分钟到场？", "30分钟内", "overlap"),
        (HOUSE, "电梯里关了人怎么办？", "拨打 6688-1025。", "unsupported"),
        (HOUSE, "周末能用电钻吗？", "周末可以使用电动工具。", "unsupported"),
        (HOUSE, "周末能用电钻吗？", "不能。", "unjudged"),
        (HOUSE, "年假要向谁申请？", "年假须提前一周向主管李雷申请", "unjudged"),
        (HOUSE, "年假要向谁申请？", "周敏", "exact"),
        (GYM, "How much is the Summit plan a month?", "61 euros", "exact"),
        (GYM, "How much is the Summit plan a month?", "24 euros", "beside"),
        (GYM, "Can I bring my dog?", "Dogs are allowed.", "unsupported"),
        (GYM, "Can I bring my dog?", "No, dogs are not allowed.", "exact"),
        (GYM, "Who is the boss?", "Tobias Reke", "unjudged"),
        (GYM, "Who runs the gym?", "John Miller", "unsupported"),
        (GYM, "What does a lesson cost?", "2% of the fee", "unsupported"),  # no per cent stands anywhere
        (GYM, "When does it close?", "10 PM", "overlap"),
        (GYM, "How long may members pause?", "Up to 3 months a year.", "overlap"),
        (HOUSE, "物业的邮箱是多少？", "6688-1024", "unsupported"),  # a number to dial is no e-mail address
        (HOUSE, "电梯里关了人，打哪个号码？", "6688-1024", "exact"),
        (GYM, "How many kilometres is it to the gym?", "3 months", "unsupported"),
        (GYM, "How many months may members pause?", "Up to three months a year.", "exact"),
        (GYM, "How many guests may come with a Summit plan?", "5", "exact"),
        (PARTS, "What is the part number of the fan?", "FX-70-B/1", "exact"),
        (PARTS, "What is the part number of the fan?", "The part number of the fan is FX-71-C/2.", "beside"),
        (PARTS, "What is the part number of the fan?", "FX-70-B/2", "unsupported"),
        (PARTS, "When was version 2.10.1 released?", "2023-10-05", "overlap"),
        (PARTS, "When was version 2.1.0 released?", "Version 2.1.0 was released on 5 October 2023.", "beside"),
    ],
)
def test_a_claim_is_judged(passage: str, question: str, said: str, support: str) -> None:
    evidence = PassageEvidence(question, [passage], [1.0])
    found = judge(said, question, [passage], evidence.best())
    assert found.support == support
    if support in ("exact", "overlap"):
        assert found.passages == (0,) and found.quote is not None


@pytest.mark.parametrize(
    ("question", "said", "support"),
    [
        ("Who gives lessons on Tuesdays?", "Tobias Reke", "exact"),
        ("Who gives lessons on Tuesdays?", "Alina Suarez", "unjudged"),
        ("Who gives lessons on Tuesdays? And on Thursdays?", "Tobias Reke", "unjudged"),
        ("Who gives lessons on Tuesdays? And on Thursdays?", "Alina Suarez", "exact"),
    ],
)
def test_halves_of_a_sentence_are_not_mixed(question: str, said: str, support: str) -> None:
    passage = "The lessons are given by Tobias Reke on Tuesdays and by Alina Suarez on Thursdays."
    assert judge(said, question, [passage], PassageEvidence(question, [passage], [1.0]).best()).support == support


class _Words:
    """A ``Meaning`` that hears one pair of words for the same."""

    worth = Worth(crosses=True)

    def __init__(self, asked: str, said: str) -> None:
        self.asked, self.said = asked, said

    def near(self, question: str, texts: Sequence[str]) -> list[float]:
        return [0.6 if self.asked in question and self.said in text else 0.4 for text in texts]


def test_clauses_of_one_sentence_that_measure_the_same_are_told_apart_by_meaning() -> None:
    repairs = "Loss of heating is dealt with within 24 hours, a blocked drain within three working days, anything else within 28 days."
    meaning: Any = _Words("shower", "heating")
    asked = "My shower is cold, how fast do they come?"
    wrong = judge("28 days", asked, [repairs], meaning=meaning)
    assert wrong.support == "beside" and wrong.quote is not None
    assert repairs[wrong.quote.start : wrong.quote.end].startswith("Loss of heating")
    assert judge("24 hours", asked, [repairs], meaning=meaning).support != "beside"
    deposit = "The deposit is £900, it is returned within 10 days, never later."  # money is no time
    meaning = _Words("deposit", "10 days")
    assert judge("£900", "What is the deposit?", [deposit], meaning=meaning).support == "exact"


def test_a_bare_yes_or_no_is_left_to_the_reader_beside_the_likely_sentence() -> None:
    likely = Located(0, 0, 20)
    for said in ("No", "不能", "不需要。", "Yes."):
        found = judge(said, "Is it allowed?", ["Smoking is allowed. 不能点蜡烛。"], likely)
        assert found.support == "unjudged" and found.quote == likely


def test_this_year_is_not_last_year() -> None:
    prize = "Judge this year is Anne Whitlock."
    assert judge("Anne Whitlock", "Who was the judge last year?", [prize]).support == "unjudged"
    assert judge("Anne Whitlock", "Who is the judge this year?", [prize]).support == "exact"


def test_numbered_things_are_told_apart() -> None:
    lease = "Parking space 7 is let for £60. 3 号楼有电梯。The rent rose by 5 in May 2024."
    assert missing_numbered("What is the rent for parking space 12?", lease) == ["space 12"]
    assert missing_numbered("5 号楼有电梯吗？", lease) == ["5 号楼"]
    assert missing_numbered("Is parking space 7 taken, and 3号楼?", lease) == []
    assert missing_numbered("What was it in May 2023, for under 20?", lease) == []


def test_the_right_entry_of_the_list_is_pointed_at() -> None:
    found = judge("24 euros", "How much is the Summit plan a month?", [GYM])
    assert found.quote is not None and "Summit" in GYM[found.quote.start : found.quote.end]


def test_a_title_answers_no_question_of_yes_or_no() -> None:
    passage = f"# Riverside Gym\n\n{GYM}"
    titles = [frozenset({"riversidegym"})]
    for question, support in (("Does the gym have a sauna?", "unsupported"), ("What is the gym called?", "unjudged")):
        found = judge("Riverside Gym", question, [passage], None, "gym.md\nRiverside Gym", titles=titles)
        assert found.support == support and found.quote is None


def test_identifiers_are_whole() -> None:
    assert identifiers("When was version 2.99 released, and FX-70-B/1?") == {"2.99", "fx-70-b/1"}
    assert identifiers("What happened on 3 March 2019 at 10 kg?") == frozenset()
    assert stands_in("15p", "HW-13P 与 HW-15P") and not stands_in("5p", "HW-15P")
    assert stands_in("2.10.1", PARTS) and not stands_in("2.10", PARTS) and not stands_in("2.1", PARTS)
    assert not stands_in("FX-70-B", PARTS) and stands_in("fx-70-b/1", PARTS)


def test_names_of_a_question_must_be_known() -> None:
    assert missing_names("How much is the Platinum plan a month?", GYM) == ["platinum"]
    assert missing_names("Does the Summit plan cost more on Mondays?", GYM) == []
    assert missing_names("How much is the Sumit plan in Euros?", GYM) == []  # misspelt, and another form of the word
    assert missing_names("It is the third time that I've lost it. Do I pay?", GYM) == []  # a contraction is no name
    assert missing_names("What did Frédéric pay?", "frederic paid 61 euros") == []


LEAVE = "女员工生育享受产假 158 天，男员工可以申请陪产假 15 天。年休假为 7 天。婚假 10 天，须一次休完。病假超过两天的须提交证明。"


@pytest.mark.parametrize("question", ["育儿假有几天？", "那丧假呢？", "公司的探亲假怎么算？"])
def test_another_kind_than_those_that_stand_there_is_seen(question: str) -> None:
    assert missing_kind(question, LEAVE) is not None


@pytest.mark.parametrize(
    "question",
    ["婚假有几天？", "年假有几天？", "结婚能休几天假？", "病假要交什么？", "什么假最长？", "女员工有几天产假？"],
)
def test_what_stands_there_is_no_other_kind_even_shortened(question: str) -> None:
    assert missing_kind(question, LEAVE) is None


def test_articles_options_and_names_in_programs_are_identifiers() -> None:
    assert identifiers("办法第二十三条规定了什么？") == {"第23条"}
    assert stands_in("第23条", "第二十三条 本办法自公布之日起施行。") and not stands_in("第3条", "第二十三条")
    assert identifiers("What does --no-fail-fast do to add_two?") == {"--no-fail-fast", "add_two"}
    assert stands_in("--test-threads", "$ cargo test -- --test-threads=1")
    assert not stands_in("--test", "$ cargo test -- --test-threads=1")
    assert identifiers("a well-known, up-to-date -- and long -- sentence") == frozenset()


@pytest.mark.parametrize(
    ("passage", "question", "said"),
    [
        ("一次做 4 个饼皮，需要:\n\n- 面粉 500g，\n- 橄榄油 35g，\n- 盐 3g，\n", "四个饼皮要多少橄榄油？", "35g"),
        ("The library lends a book for 30 days.", "图书馆的书可以借多久？", "30 天"),
        (
            "Orders from 150 EUR are delivered free of charge.",
            "From what amount are orders delivered free?",
            "150 euros",
        ),
        ("A wash costs 2.50 pounds, the dryer 1.80.", "How much is the dryer?", "The dryer costs 1.80 pounds."),
        (
            "门锁容量：AJ-520 存 50 枚指纹，AJ-520Pro 存 100 枚。",
            "AJ-520Pro 能存多少指纹？",
            "AJ-520Pro 能存 100 枚指纹。",
        ),
    ],
)
def test_numbers_are_supported_whatever_their_unit_is_called(passage: str, question: str, said: str) -> None:
    assert judge(said, question, [passage], Located(0, 0, len(passage))).support in ("exact", "overlap")


@pytest.mark.parametrize(
    ("passage", "question", "said"),
    [
        ("A wash costs 2.50 pounds, the dryer 1.80.", "How much is the dryer?", "The dryer costs 2.50 pounds."),
        ("一次做 4 个饼皮，需要:\n\n- 面粉 500g，\n- 橄榄油 35g，\n- 盐 3g，\n", "四个饼皮要多少橄榄油？", "500g"),
        ("The library lends a book for 30 days.", "图书馆的书可以借多久？", "30 周"),
    ],
)
def test_another_entry_or_unit_is_not_supported(passage: str, question: str, said: str) -> None:
    assert judge(said, question, [passage], Located(0, 0, len(passage))).support not in ("exact", "overlap")


class _Far:
    """An embedder's ``Meaning`` to which no sentence is near."""

    worth = Worth(crosses=True)

    def near(self, question: str, texts: Sequence[str]) -> list[float]:
        return [0.1] * len(texts)


def test_a_number_from_a_sentence_about_something_else_is_refused() -> None:
    dough = "四个饼皮需要:\n\n- 面粉 500g，\n- 盐 3g，\n\n最后撒上芝士碎即可。\n"
    meaning: Any = _Far()
    found = judge("3克", "要放多少克芝士？", [dough], Located(0, 0, 9), meaning=meaning)
    assert found.support == "unsupported" and found.quote is None
    assert judge("3克", "要放多少克盐？", [dough], Located(0, 0, 9), meaning=meaning).support != "unsupported"


def test_what_only_the_question_names_is_not_supported_by_a_sentence_without_it() -> None:
    leave = "Parents get twelve weeks of paid parental leave."
    found = judge(
        "Grandparents get paid parental leave.", "How much paid leave do grandparents get?", [leave], Located(0, 0, 9)
    )
    assert found.support == "unjudged"
    assert (
        judge("Parents get paid parental leave.", "What do parents get?", [leave], Located(0, 0, 9)).support
        == "overlap"
    )


def test_a_column_that_nobody_asked_for_does_not_support() -> None:
    entry = "组别｜名额｜报名费｜早鸟价\n半程｜1200 人｜120 元｜100 元\n10 公里｜800 人｜80 元｜65 元\n"
    whole = Located(0, 0, len(entry))
    assert judge("100 元", "半程第一名奖金多少？", [entry], whole).support == "unjudged"
    assert judge("100 元", "半程的早鸟价是多少？", [entry], whole).support == "exact"


def test_two_words_of_a_name_that_stand_in_other_names_are_a_near_miss() -> None:
    plans = "Plans: Business 25 pounds, Regular Plus 15 pounds."
    assert missing_names("how much is the Business Plus plan", plans) == ["Business Plus"]
    assert missing_names("how much is the Regular Plus plan", plans) == []
    assert missing_names("Is Calder Wheels open?", "Calder Wheels is open.") == []


def test_across_languages_a_number_under_a_fitting_title_is_shown_as_unjudged() -> None:
    class Titled(_Far):
        def near(self, question: str, texts: Sequence[str]) -> list[float]:
            return [0.9 if "培训" in text else 0.1 for text in texts]

    meaning: Any = Titled()
    passage, asked = "考核 80 分合格。", "What score do I need to pass the test?"
    said = "废弃物管理规定.md\n规定 › 培训"
    assert judge("80", asked, [passage], Located(0, 0, 9), said, meaning=meaning).support == "unjudged"
    assert judge("80", asked, [passage], Located(0, 0, 9), "x.md\nx", meaning=meaning).support == "unsupported"
