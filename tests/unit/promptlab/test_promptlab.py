"""Versions, sets, graders, runs and comparisons, without a model."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhilu.context import Context, open_context
from zhilu.errors import ConflictError, InputError, NotFoundError
from zhilu.gate import Status
from zhilu.promptlab.compare import compare_runs
from zhilu.promptlab.drafts import draft
from zhilu.promptlab.gates import check_prompts
from zhilu.promptlab.graders import find_json, grade, grade_all
from zhilu.promptlab.judging import agreement
from zhilu.promptlab.library import Templates
from zhilu.promptlab.runs import Answer, RunFile, Runs, now
from zhilu.promptlab.sets import ScoredItem, Sets, parse_items, set_fingerprint, to_jsonl
from zhilu.promptlab.template import PromptTemplate, Shot, fingerprint, render, variables


@pytest.fixture
def context() -> Iterator[Context]:
    context = open_context()
    yield context
    context.close()


# Versions


def test_a_version_is_filled_with_its_examples_before_it() -> None:
    told = PromptTemplate(
        user='Q: {{ q }} {"a": 1}', system="For {{who}}.", examples=[Shot(vars={"q": "1+1"}, answer="2")]
    )
    assert variables(told) == ["who", "q"]
    assert render(told, {"q": "2+2", "who": "Ana"}) == [
        {"role": "system", "content": "For Ana."},
        {"role": "user", "content": 'Q: 1+1 {"a": 1}'},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": 'Q: 2+2 {"a": 1}'},
    ]


def test_a_value_that_looks_like_a_variable_stays_a_text() -> None:
    assert render(PromptTemplate(user="{{a}}{{b}}"), {"a": "{{b}}", "b": "x"})[0]["content"] == "{{b}}x"


def test_a_missing_value_is_named() -> None:
    with pytest.raises(InputError, match="No value for b"):
        render(PromptTemplate(user="{{a}} {{b}}"), {"a": "1"})


def test_versions_are_files_and_the_note_alone_makes_no_new_one(context: Context) -> None:
    templates = Templates(context)
    first = templates.save("mine", PromptTemplate(user="{{x}}", note="one"))
    assert templates.save("mine", PromptTemplate(user="{{x}}", note="two")).number == first.number == 1
    second = templates.save("mine", PromptTemplate(user="Say {{x}}", system='a "quoted"\n\\line', max_tokens=7))
    assert [v.number for v in templates.versions("mine")] == [1, 2]
    assert templates.get("mine").template == second.template
    file = context.home.path / "prompts" / "templates" / "mine" / "2.toml"
    file.write_text(file.read_text().replace("Say {{x}}", "Tell {{x}}"))
    assert templates.get("mine").sha256 != second.sha256 == fingerprint(second.template)


def test_a_new_version_of_a_shipped_prompt_is_ones_own(context: Context) -> None:
    saved = draft(context, "support-en", {"max_tokens": 4})
    assert (saved.number, saved.shipped, saved.template.max_tokens) == (3, False, 4)
    assert saved.template.examples, "what is not given stays as it was"
    Templates(context).delete("support-en")
    assert Templates(context).get("support-en").number == 2
    with pytest.raises(ConflictError):
        Templates(context).delete("support-en")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "x" * 65])
def test_a_name_that_is_no_file_name_is_refused(context: Context, name: str) -> None:
    with pytest.raises(InputError):
        draft(context, name, {"user": "hi"})
    with pytest.raises(NotFoundError):
        Templates(context).get(name)


def test_a_broken_file_is_named_with_what_to_do(context: Context) -> None:
    folder = context.home.path / "prompts" / "templates" / "bad"
    folder.mkdir(parents=True)
    (folder / "1.toml").write_text("user = \n")
    with pytest.raises(InputError, match=r"bad/1\.toml") as caught:
        Templates(context).get("bad")
    assert caught.value.fix and caught.value.fix.startswith("mv ")


# Sets


def test_every_shipped_set_fits_its_shipped_versions(context: Context) -> None:
    names = {one.name for one in Sets(context).list()}
    assert (
        names == {"support-en", "support-zh", "receipt-en", "receipt-zh"} == {t.name for t in Templates(context).list()}
    )
    for name in names:
        questions = Sets(context).get(name)
        assert questions.items >= 16 and questions.shipped
        shots = set()
        for version in Templates(context).versions(name):
            assert version.shipped
            for item in questions.questions:
                render(version.template, item.vars)
            shots |= {value for example in version.template.examples for value in example.vars.values()}
        assert not shots & {value for item in questions.questions for value in item.vars.values()}, (
            "an example gives answers away"
        )


def test_jsonl_and_csv_say_the_same() -> None:
    jsonl = (
        '{"q": "one", "expected": "1"}\n\n{"q": "two", "expected": ["2", "two"]}\n{"q": "x", "expected": {"a": 1}}\n'
    )
    made = 'q,expected,grader\none,1,\ntwo,"[""2"", ""two""]",contains\nx,"{""a"": 1}",json\n'
    found = parse_items(jsonl, "set.jsonl")
    assert [item.grader for item in found] == ["exact", "contains", "json"]
    assert parse_items(made, "set.CSV") == found


@pytest.mark.parametrize(
    ("text", "said"),
    [("{}", "expected"), ("[1]", "expected"), ("{", "Expecting"), ("", "0 good"), ('{"expected": "a", "grader": "best"}', "best"),
     ('{"expected": "a", "q": [1]}', "q"), ('{"expected": "x", "grader": "json"}', "Expecting"), ('{"expected": ""}', "expected")],
)  # fmt: skip
def test_what_is_wrong_with_a_line_is_said(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_items(text, "set.jsonl")


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.lists(
        st.builds(
            ScoredItem,
            id=_TEXT.filter(bool),
            vars=st.dictionaries(st.sampled_from("abc"), _TEXT),
            expected=_TEXT.filter(bool),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_set_comes_back_from_its_file(items: list[ScoredItem]) -> None:
    assert parse_items(to_jsonl(items), "set.jsonl") == items


@given(st.text(max_size=200), st.booleans())
def test_any_file_is_a_set_or_is_refused(text: str, is_csv: bool) -> None:
    with contextlib.suppress(InputError):
        assert parse_items(text, "a.csv" if is_csv else "a.jsonl")


# Graders


def _item(grader: Any, expected: Any) -> ScoredItem:
    return ScoredItem(id="1", vars={}, expected=expected, grader=grader)


@pytest.mark.parametrize(
    ("grader", "expected", "right", "wrong"),
    [
        ("exact", "Refund", [" refund.\n", "`REFUND`", "“refund”"], ["a refund", "refunds", ""]),
        ("exact", "退款", ["退款。", " 退款\n"], ["要退款"]),
        ("contains", ["9:30", "half past nine"], ["It opens at Half past nine.", "9:30"], ["9.30", ""]),
        ("json", {"date": "2026-03-05", "amount": 42.5},
         ['```json\n{"amount": 42.50, "date": "2026-03-05", "note": ""}\n```', 'Here: {"date": "2026-03-05", "amount": 42.5}.'],
         ['{"date": "2026-03-05", "amount": "42.5"}', '{"date": "2026-03-05"}', "42.5", '{"date": "2026-03-05", "amount": 42.5']),
        ("json", {"ok": True, "n": 1}, ['{"ok": true, "n": 1.0}'], ['{"ok": 1, "n": 1}', '{"ok": true, "n": true}']),
        ("schema", {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
         ['{"a": 3}', 'x {"a": 3, "b": 4}'], ['{"a": "3"}', "{}", "a: 3"]),
    ],
)  # fmt: skip
def test_graders(grader: str, expected: Any, right: list[str], wrong: list[str]) -> None:
    item = _item(grader, expected)
    assert [grade(item, answer) for answer in right] == [True] * len(right)
    assert [grade(item, answer) for answer in wrong] == [False] * len(wrong)


def test_patterns_are_searched_and_a_judge_may_say_neither() -> None:
    items = [_item("regex", r"^\d+ °C$"), _item("judge", "polite"), _item("judge", "polite"), _item("regex", r"\d")]
    assert grade_all(items, ["so:\n21 °C", "a", "b", "none"], [None, "Yes, it is.", "Hm.", None]) == [
        True,
        True,
        None,
        False,
    ]


def test_a_pattern_that_never_ends_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zhilu.promptlab.graders._PATTERN_SECONDS", 2)
    with pytest.raises(InputError, match="longer than"):
        grade_all([_item("regex", "(a+)+$")], ["a" * 40 + "!"], [None])
    with pytest.raises(InputError, match="none"):
        grade_all([_item("regex", "(")], ["x"], [None])


def test_a_schema_that_is_none_is_refused_and_a_foreign_one_is_not_fetched() -> None:
    with pytest.raises(InputError, match="JSON Schema"):
        grade(_item("schema", {"type": "thing"}), "{}")


@given(st.text(max_size=120))
def test_json_is_found_in_any_text_without_an_error(text: str) -> None:
    find_json(text)
    find_json("[" * 40 + text)


def test_agreement_takes_chance_away() -> None:
    assert agreement([]) is None
    found = agreement([(True, True)] * 4 + [(False, False)] * 4 + [(True, False), (False, True)])
    assert found is not None and (found.share, found.kappa) == (0.8, 0.6)
    same = agreement([(True, True), (True, False)])
    assert same is not None and same.kappa is None


# Runs


def _run(context: Context, version: int, answers: list[str], *, shipped: bool = False, name: str = "mine") -> str:
    items = [ScoredItem(id=str(n), vars={"q": str(n)}, expected="yes") for n in range(len(answers))]
    told = PromptTemplate(user=f"{{{{q}}}} {version}")
    run = RunFile(
        id=f"{name}-{version}", job_id="j", created_at=now(), template=name, version=version, content=told,
        sha256=fingerprint(told), shipped=shipped, set_name="set", set_sha256=set_fingerprint(items), model="m", items=items,
    )  # fmt: skip
    runs = Runs(context)
    runs.begin(run)
    for number, answer in enumerate(answers):
        runs.add(run.id, Answer(id=str(number), answer=answer, prompt_tokens=10, completion_tokens=2))
    return run.id


def test_a_lead_is_worked_out_from_the_answers(context: Context) -> None:
    a, b = _run(context, 1, ["yes"] * 5 + ["no"] * 7), _run(context, 2, ["no"] + ["yes"] * 11)
    found = compare_runs(context, a, b)
    assert (found.only_a, found.only_b, found.both, found.neither) == (1, 7, 4, 0)
    assert found.lead == pytest.approx(0.5)
    assert found.p == pytest.approx(18 / 256, abs=1e-6)
    assert found.verdict == "b_ahead"
    assert found.a.score.prompt_tokens == 120


def test_a_line_that_a_kill_cut_off_is_asked_again(context: Context) -> None:
    run_id = _run(context, 1, ["yes", "no"])
    path = Runs(context).folder / run_id / "answers.jsonl"
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        known = Runs(context).answers(run_id)
        assert set(known) <= {"0", "1"} and all(a.answer in ("yes", "no") for a in known.values())
        Runs(context).add(run_id, Answer(id="1", answer="later"))
        assert Runs(context).answers(run_id)["1"].answer == "later"


def test_only_like_is_compared_with_like(context: Context) -> None:
    a, b = _run(context, 1, ["yes"] * 3), _run(context, 2, ["yes"] * 4)
    with pytest.raises(ConflictError, match="like"):
        compare_runs(context, a, b)
    Runs(context)._of(a).joinpath("answers.jsonl").unlink()
    with pytest.raises(ConflictError, match="not through"):
        compare_runs(context, a, b)


def test_marks_of_a_person_stand_beside_the_grader(context: Context) -> None:
    run_id = _run(context, 1, ["yes", "no", "yes"])
    runs = Runs(context)
    runs.mark(run_id, "0", True)
    runs.mark(run_id, "1", True)
    score = runs.get(run_id).score
    assert score.agreement is not None and (score.agreement.agreed, score.agreement.marked) == (1, 2)
    runs.mark(run_id, "1", None)
    assert [row.person for row in runs.rows(run_id)] == [True, None, None]
    with pytest.raises(NotFoundError):
        runs.mark(run_id, "9", True)


@pytest.mark.parametrize("run_id", ["../../etc", "", "a/b", "none"])
def test_a_run_that_is_none(context: Context, run_id: str) -> None:
    with pytest.raises(NotFoundError):
        Runs(context).get(run_id)


# Gate 5.1


def test_the_gate_wants_two_versions_of_ones_own(context: Context) -> None:
    assert check_prompts(context).status is Status.NOT_YET
    _run(context, 1, ["no"] * 12, shipped=True)
    _run(context, 2, ["yes"] * 12)
    assert check_prompts(context).status is Status.NOT_YET
    _run(context, 3, ["yes"] * 9 + ["no"] * 3)
    verdict = check_prompts(context)
    assert verdict.status is Status.PASSED
    figures = {figure.name.en: figure.value for figure in verdict.figures}
    assert figures["lead of the better one"] == 25.0 and figures["p (McNemar, exact, two-sided)"] == 0.25
    assert "may be chance" in verdict.why.en


def test_the_gate_believes_no_kept_figure(context: Context) -> None:
    _run(context, 1, ["no"] * 12)
    better = _run(context, 2, ["yes"] * 12)
    assert check_prompts(context).status is Status.PASSED
    path = Runs(context).folder / better / "answers.jsonl"
    path.write_text(
        "".join(
            json.dumps({**json.loads(line), "answer": "no", "right": True}) + "\n"
            for line in path.read_text().splitlines()
        )
    )
    assert check_prompts(context).status is Status.FAILED


def test_the_gate_wants_enough_questions(context: Context) -> None:
    _run(context, 1, ["no"] * 5)
    _run(context, 2, ["yes"] * 5)
    assert check_prompts(context).status is Status.FAILED


def test_files_are_not_taken_from_elsewhere(context: Context, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"q": "a", "expected": "b"}\n')
    with pytest.raises(NotFoundError):
        Sets(context).get(str(tmp_path / "x"))
