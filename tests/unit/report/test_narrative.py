"""A sentence stays only if its figures stand in the result, in the row it speaks of."""

from __future__ import annotations

import pytest

from zhilu.apps.report.narrative import judge, plain_sentences
from zhilu.apps.report.sql import QueryResult

COSTS = QueryResult(columns=["region", "cost"], rows=[["south", 41234.5], ["west", 30111.25], ["north", 20010.0]])
CLASSES = QueryResult(columns=["班级", "平均分"], rows=[["一班", 76.21], ["二班", 74.95], ["三班", 77.4]])
MONTHS = QueryResult(columns=["month", "kwh"], rows=[["2025-01", 120], ["2025-02", 90], ["2025-03", 150]])
MILLS = QueryResult(columns=["site", "kwh"], rows=[["North", 10], ["North mill", 20]])


@pytest.mark.parametrize(
    ("sentence", "result"),
    [
        ("South had the highest cost, 41,234.50.", COSTS),
        ("The south region cost 41234.5, the west 30,111.25.", COSTS),
        ("West cost about 30,111.", COSTS),
        ("There are 3 regions.", COSTS),
        ("There are three regions.", COSTS),
        ("In all they cost 91,355.75.", COSTS),
        ("The difference between south and west is 11,123.25.", COSTS),
        ("The lowest cost is in the north.", COSTS),
        ("三班的平均分最高，为77.4分。", CLASSES),
        ("一班平均分是76.21，二班是74.95。", CLASSES),
        ("共有3个班。", CLASSES),
        ("In 2025-03 consumption was highest at 150 kWh.", MONTHS),
        ("North mill used 20 kWh.", MILLS),
    ],
)
def test_true_sentences_stay(sentence: str, result: QueryResult) -> None:
    (judged,) = judge(sentence, result, "What was it in 2025?")
    assert judged.is_kept, judged.why


@pytest.mark.parametrize(
    ("sentence", "result"),
    [
        ("South cost 41,235.50.", COSTS),  # a digit changed
        ("South cost 30,111.25.", COSTS),  # another row's figure
        ("North cost 41,234.5.", COSTS),
        ("The north had the highest cost.", COSTS),
        ("South cost twice as much as north.", COSTS),
        ("South cost 206% of north.", COSTS),
        ("There are four regions.", COSTS),
        ("二班的平均分最高，为74.95分。", CLASSES),
        ("三班比二班高3.5分。", CLASSES),
        ("三班的平均分是二班的一倍半。", CLASSES),
        ("三个班的平均分约为80分。", CLASSES),
        ("In 2025-01 it was 150.", MONTHS),
        ("North used 20 kWh.", MILLS),
        ("South cost $41,234.5.", COSTS),
        ("South cost 41,234.5 euros.", COSTS),
        ("一班花了76.21元。", CLASSES),
    ],
)
def test_what_cannot_be_proven_is_left_out_with_a_reason(sentence: str, result: QueryResult) -> None:
    (judged,) = judge(sentence, result, "")
    assert not judged.is_kept
    assert judged.why is not None
    assert judged.why.en
    assert judged.why.zh


def test_money_may_be_said_where_the_table_or_the_question_says_it() -> None:
    euros = COSTS.model_copy(update={"columns": ["region", "cost_eur"]})
    assert judge("South cost 41,234.5 euros.", euros, "")[0].is_kept
    assert judge("South cost $41,234.5.", COSTS, "What did it cost in dollars?")[0].is_kept
    assert not judge("South cost $41,234.5.", euros, "")[0].is_kept


def test_sentences_are_judged_one_by_one() -> None:
    judged = judge("South cost 41,234.5. West cost 1. North cost 20,010.", COSTS, "")
    assert [s.is_kept for s in judged] == [True, False, True]


def test_something_true_can_always_be_said() -> None:
    for result in (COSTS, CLASSES, MONTHS, QueryResult(columns=["n"], rows=[[3]]), QueryResult(columns=["n"], rows=[])):
        for sentence in plain_sentences(result):
            assert all(s.is_kept for s in judge(sentence, result, "")), sentence
