"""Dataset files: every format, every kind of damage, copies, leaks, personal data."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st
from tests.examples import examples

from zhilu.errors import InputError, NotFoundError
from zhilu.tuning.data.check import DataReport, check_data
from zhilu.tuning.data.findings import TITLES
from zhilu.tuning.data.formats import FORMATS
from zhilu.tuning.data.likeness import NEAR, near_copies
from zhilu.tuning.data.personal import find_personal
from zhilu.tuning.data.read import parse_mapping, read_dataset

CHAT = {
    "messages": [{"role": "user", "content": "Where is the key?"}, {"role": "assistant", "content": "Under the mat."}]
}


def write(folder: Path, *rows: Any, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text(
        "".join(f"{row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)}\n" for row in rows), "utf-8"
    )
    return path  # fmt: skip


def found(report: DataReport) -> dict[str, list[int]]:
    return {finding.code: finding.lines for finding in report.findings}


FORMS: dict[str, dict[str, Any]] = {
    "chat": CHAT,
    "sharegpt": {"conversations": [{"from": "human", "value": "Where is the key?"}, {"from": "gpt", "value": "Under the mat."}]},
    "alpaca": {"instruction": "Where is", "input": "the key?", "output": "Under the mat.", "history": [["Hi", "Hello"]]},
    "prompt-completion": {"prompt": "Where is the key?", "completion": "Under the mat."},
    "preference": {"prompt": "Where is the key?", "chosen": "Under the mat.", "rejected": "No idea."},
    "unpaired": {"prompt": "Where is the key?", "completion": "Under the mat.", "label": True},
    "text": {"text": "The key is under the mat."},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_every_format_is_read(tmp_path: Path, form: Any) -> None:
    data = read_dataset(write(tmp_path, FORMS[form.name]))
    assert not data.problems
    assert data.format is form
    (example,) = data.examples
    assert example.kind == form.kind
    assert "mat" in example.words
    if example.kind in ("chat", "unpaired"):
        assert [m["role"] for m in example.messages][-2:] == ["user", "assistant"]


def test_other_spellings_say_the_same(tmp_path: Path) -> None:
    """A conversational prompt, an implicit prompt, LLaMA-Factory's pairs, tools as JSON text."""
    user, good, bad = (
        {"role": r, "content": c} for r, c in (("user", "Hi"), ("assistant", "Hello"), ("assistant", "What?"))
    )
    rows = [
        {"prompt": [user], "chosen": [good], "rejected": [bad]},
        {"chosen": [user, good], "rejected": [user, bad]},
        {"conversations": [{"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "Hello"},
         "rejected": {"from": "gpt", "value": "What?"}},
        {"instruction": "Hi", "input": "", "chosen": "Hello", "rejected": "What?"},
    ]  # fmt: skip
    data = read_dataset(write(tmp_path, *rows))
    assert not data.problems
    assert {(e.messages[0]["content"], e.chosen[0]["content"], e.rejected[0]["content"]) for e in data.examples} == {
        ("Hi", "Hello", "What?")
    }
    tools = json.dumps([{"name": "find", "parameters": {"type": "object"}}])
    turns = [
        {"from": "human", "value": "Find the key"},
        {"from": "function_call", "value": '{"name": "find", "arguments": {"what": "key"}}'},
        {"from": "observation", "value": "mat"},
        {"from": "gpt", "value": "Under the mat."},
    ]
    data = read_dataset(write(tmp_path, {"conversations": turns, "tools": tools}))
    assert not data.problems
    (example,) = data.examples
    assert [m["role"] for m in example.messages] == ["user", "assistant", "tool", "assistant"]
    assert example.messages[1]["tool_calls"][0]["function"] == {"name": "find", "arguments": '{"what": "key"}'}
    assert example.tools[0]["function"]["name"] == "find"


def chat(*turns: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns], **more}


def called(arguments: str) -> dict[str, Any]:
    call = {"function": {"name": "f", "arguments": arguments}}
    return {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}]}


ASK, ANSWER = ("user", "Where is the key?"), ("assistant", "Under the mat.")
# What is wrong, the rows, and the lines that must be named.
BROKEN: dict[str, tuple[list[Any], list[int]]] = {
    "bad_json": ([CHAT, '{"messages": [', '{"a": 1, "a": 2}', "[" * 3000], [2, 3, 4]),
    "not_an_object": ([CHAT, "7", '"text"'], [2, 3]),
    "missing_role": ([{"messages": [{"content": "hi"}]}], [1]),
    "unknown_role": ([chat(("user", "hi"), ("oracle", "hm"))], [1]),
    "empty_answer": ([CHAT, chat(ASK, ("assistant", " \n"))], [2]),
    "empty_question": ([chat(("user", ""), ANSWER)], [1]),
    "no_answer": ([chat(ASK), chat(ASK, ANSWER, ("user", "and?"))], [1, 2]),
    "role_order": ([chat(ASK, ("system", "be brief"), ANSWER), chat(ASK, ("tool", "7"), ANSWER)], [1, 2]),
    "all_masked": ([{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]}], [1]),
    "lone_surrogate": ([CHAT, '{"messages": [{"role": "user", "content": "\\ud83d"}, {"role": "assistant", "content": "x"}]}'], [2]),
    "line_too_long": ([CHAT, chat(("user", "x" * 1_000_000), ANSWER), chat(("user", "last"), ANSWER)], [2]),
    "duplicate_id": ([CHAT | {"id": 7}, chat(("user", "other"), ANSWER, id=7)], [2]),
    "unknown_key": ([chat(ASK, ANSWER, tool=[])], [1]),
    "unread_key": ([chat(ASK, ANSWER, colour="red")], [1]),
    "not_text_part": ([chat(("user", [{"type": "image_url", "image_url": {"url": "a.png"}}]), ANSWER)], [1]),
    "mixed_formats": ([CHAT, chat(("user", "b"), ANSWER), FORMS["alpaca"]], [3]),
    "unknown_format": ([{"mesages": []}, {"q": "a"}], [1, 2]),
    "bad_tool_call": ([called("{")], [1]),
    "unknown_tool": ([called("{}") | {"tools": [{"name": "g"}]}], [1]),
    "same_answers": ([{"prompt": "a", "chosen": "b", "rejected": "b"}], [1]),
    "bad_label": ([{"prompt": "a", "completion": "b", "label": "maybe"}], [1]),
    "duplicate": ([CHAT, chat(("user", "other"), ANSWER), CHAT], [3]),
    "contradiction": ([CHAT, chat(ASK, ("assistant", "In the drawer."))], [2]),
    "bad_content": ([chat(("user", 7), ANSWER)], [1]),
    "no_messages": ([{"messages": []}], [1]),
    "no_rows": (["", "  "], [1]),
}  # fmt: skip


@pytest.mark.parametrize("code", BROKEN)
def test_what_is_wrong_is_named_with_its_lines(tmp_path: Path, code: str) -> None:
    rows, lines = BROKEN[code]
    report = check_data(write(tmp_path, *rows))
    assert found(report)[code] == lines
    finding = next(finding for finding in report.findings if finding.code == code)
    assert report.ok == (finding.severity != "error")
    assert finding.title == TITLES[code]
    assert finding.message.zh != finding.message.en


@pytest.mark.parametrize(("encoding", "fix"), [("gb18030", "iconv -f gb18030"), ("utf-16", "iconv -f UTF-16")])
def test_another_encoding_is_named_and_not_guessed_at(tmp_path: Path, encoding: str, fix: str) -> None:
    path = tmp_path / "rows.jsonl"
    row = json.dumps(chat(("user", "钥匙在哪里？"), ("assistant", "在垫子下面。")), ensure_ascii=False)
    path.write_bytes(f"{row}\n{row}\n".encode(encoding))
    (finding,) = check_data(path).findings  # fmt: skip
    assert finding.code == "not_utf8"
    assert str(finding.fix).startswith(fix)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        check_data(tmp_path / "nowhere.jsonl")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="parquet"):
        check_data(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(InputError, match="empty"):
        check_data(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_bytes(bytes(range(256)) * 4)
    assert set(found(check_data(tmp_path / "b.jsonl"))) <= {"not_utf8", "bad_json"}


def test_a_json_array_names_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([CHAT, chat(ASK), chat(("user", "b"), ANSWER)], indent=1))
    report = check_data(path)
    line = path.read_text().splitlines().index(" {", 2) + 1
    assert found(report) == {"no_answer": [line]}
    path.write_text('[{"text": "a"}, {"text": ')
    assert "bad_json" in found(check_data(path))


def test_tables_with_columns_of_other_names(tmp_path: Path) -> None:
    rows = [
        ["Question", "Answer", "Page"],
        ["Where is\nthe key?", "Under the mat, they say.", "3"],
        ["When?", "At 9", "4"],
        ["", "", ""],
        ["x"],
    ]
    for name, delimiter in (("rows.csv", ";"), ("rows.tsv", "\t"), ("other.csv", ",")):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)
        assert "unknown_format" in found(check_data(tmp_path / name))
        mapping = parse_mapping(("prompt=Question", "completion=Answer"))
        report = check_data(tmp_path / name, mapping=mapping)
        assert found(report) == {"unread_key": [2, 4], "unknown_format": [6]}
        assert report.usable == 2
    with pytest.raises(InputError, match="COLUMN"):
        parse_mapping(("prompt",))
    with pytest.raises(InputError, match="prompts"):
        parse_mapping(("prompts=Question",))
    assert "no_column" in found(check_data(tmp_path / "rows.csv", mapping=parse_mapping(("prompt=Frage",))))


def test_a_workbook(tmp_path: Path) -> None:
    """A real one, written by hand: an .xlsx is a ZIP of XML."""
    import zipfile

    cells = [("instruction", "output"), ("Where is the key?", "Under the mat."), ("What number?", 3)]

    def cell(value: Any) -> str:
        return f"<c><v>{value}</v></c>" if isinstance(value, int) else f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in cells)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kinds = '<Default Extension="{}" ContentType="application/{}"/>'
    known = kinds.format("rels", "vnd.openxmlformats-package.relationships+xml") + kinds.format("xml", "xml")

    def related(kind: str, target: str) -> str:
        return (
            f'<Relationships xmlns="{package}/relationships">'
            f'<Relationship Id="r1" Type="{rel}/{kind}" Target="{target}"/></Relationships>'
        )

    sheets = '<sheets><sheet name="Data" sheetId="1" r:id="r1"/></sheets>'
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">{known}</Types>',
        "_rels/.rels": related("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}">{sheets}</workbook>',
        "xl/_rels/workbook.xml.rels": related("worksheet", "worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(tmp_path / "rows.xlsx", "w") as book:
        for name, content in files.items():
            book.writestr(name, content)
    report = check_data(tmp_path / "rows.xlsx")
    assert (report.ok, report.format, report.rows) == (True, "alpaca", 2)
    assert read_dataset(tmp_path / "rows.xlsx").examples[1].messages[-1]["content"] == "3"
    (tmp_path / "broken.xlsx").write_bytes(b"PK nothing")
    assert found(check_data(tmp_path / "broken.xlsx")) == {"bad_workbook": [1]}


def test_what_is_held_out_must_not_be_taught(tmp_path: Path) -> None:
    long = "Our office in Harbour Street opens at nine in the morning and closes at six in the evening on weekdays."
    train = write(tmp_path, CHAT, chat(("user", f"{long} When does it close?"), ANSWER), name="train.jsonl")
    held_out = [
        chat(("user", "WHERE is  the key?"), ("assistant", "Elsewhere.")),
        chat(("user", f"{long} When does it close"), ANSWER),
        chat(("user", "What is a quorum?"), ANSWER),
    ]
    report = check_data(train, evaluation=write(tmp_path, *held_out, name="eval.jsonl"))
    assert found(report)["eval_leak"] == [1, 2]
    assert not report.ok
    assert check_data(train, evaluation=write(tmp_path, held_out[2], name="eval.jsonl")).ok


@examples(60)
@given(st.text(min_size=60, max_size=300), st.integers(0, 59), st.characters())
def test_a_text_with_one_character_changed_is_a_near_copy(text: str, at: int, other: str) -> None:
    changed = text[:at] + other + text[at + 1 :]
    copies = near_copies([text, "something else altogether, and long enough", changed])
    if copies.get(2, (None, 0))[0] != 0:  # the change may move more than a fifth of few distinct shingles
        from zhilu.tuning.data.likeness import _likeness, _shingles

        assert _likeness(_shingles(text), _shingles(changed)) < NEAR


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to ana.b@example.com", {"email"}),
        ("电话 13812345678", {"phone"}),
        ("order 138123456789", set()),
        ("11010519491231002X", {"resident"}),
        ("110105194912310021", set()),
        ("4111 1111 1111 1111", {"card"}),
        ("4111 1111 1111 1112", set()),
        ("sk-abcdefghijklmnopqrstuv", {"secret"}),
    ],
)
def test_personal_data_is_hinted_at_and_hidden(text: str, kinds: set[str]) -> None:
    finds = list(find_personal(text))
    assert {kind for kind, _, _ in finds} == kinds
    assert all(hidden not in text for _, _, hidden in finds)


KEYS = sorted({key for form in FORMATS for key in form.keys} | {"role", "content", "from", "value", "type", "id"})
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@examples(150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(anything | st.binary(max_size=40), min_size=1, max_size=6))
@example([b"["])
def test_nothing_in_a_file_makes_the_check_fail(tmp_path: Path, rows: list[Any]) -> None:
    """Whatever the rows are, the outcome is a report whose findings have a title and lines that exist."""
    lines = [row.replace(b"\n", b" ") if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    report = check_data(path)
    assert all(1 <= line <= len(lines) for finding in report.findings for line in finding.lines)
    assert report.ok == (report.usable > 0 and not any(f.severity == "error" for f in report.findings))
