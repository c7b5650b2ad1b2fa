"""What strangers send, in any encoding, order and length: read, or refused with one clear error, and nothing of it lost.

Few examples by default; ``ZHILU_EXAMPLES=10000 python -m pytest -m hypothesis -o timeout=0`` makes as many of each.
"""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.examples import examples

from zhilu import wire
from zhilu.errors import InputError
from zhilu.rag.answer.claims import claims_of, identifiers, stands_in
from zhilu.rag.load import Limits, safe_name, safe_path
from zhilu.rag.load.decode import clean, decode
from zhilu.rag.load.sniff import sniff
from zhilu.text.sentences import sentences
from zhilu.text.terms import content_terms

WORDS = {
    "zh": "知识库检索的质量取决于分词切分与排序每一个答案都要注明出处文档没有提到的内容应当拒绝回答，。我们在这里工作",
    "ja": "倉庫の管理をするシステムは入庫と出庫を記録します。これはとてもよいものです、カタカナもあります",
    "ko": "창고관리시스템사용설명서이시스템은입고출고및재고조사를관리합니다온도는사이를유지해야합니다",
    "en": "Retrieval quality depends on ranking. Every answer cites its source, or says so",
}
# Where the letters of a language are really kept; a few words are not enough for a statistical guess, so lengths begin at 40.
ENCODINGS = [
    ("zh", "utf-8"), ("zh", "utf-8-sig"), ("zh", "gb18030"), ("zh", "utf-16"), ("ja", "utf-8"), ("ja", "utf-16"), ("ko", "utf-8"),
    ("ko", "utf-32"), ("en", "ascii"), ("en", "utf-16"),
]  # fmt: skip


@given(st.sampled_from(ENCODINGS), st.data())
@examples(60)
def test_a_text_in_its_encoding_is_read_as_it_was_written(where: tuple[str, str], data: st.DataObject) -> None:
    lang, encoding = where
    letters = data.draw(st.lists(st.sampled_from(WORDS[lang]), min_size=40, max_size=200))
    text = "".join(letters) + "\n"
    assert decode(text.encode(encoding))[0] == clean(text)


@given(
    st.one_of(st.binary(max_size=2000), st.text(max_size=500).map(lambda t: t.encode("utf-8", "surrogatepass"))),
    st.booleans(),
)
@examples(100)
def test_bytes_are_a_clean_text_or_an_error(data: bytes, is_whole: bool) -> None:
    try:
        text, encoding = decode(data, is_whole=is_whole)
    except InputError as error:
        assert error.code == "not_text" and error.message.zh
        return
    assert "\0" not in text and clean(text) == text and encoding
    text.encode()  # no half of a surrogate pair


@given(st.text(max_size=300), st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-8-sig"]))
@examples(100)
def test_a_cut_file_reads_as_the_beginning_of_the_whole_one(text: str, encoding: str) -> None:
    data = ("Beginning. " + text.encode("utf-8", "ignore").decode()).encode(encoding)
    try:
        whole = decode(data)[0]
    except InputError:
        return
    for cut in (len(data) - 1, len(data) - 2, len(data) // 2):
        try:
            part = decode(data[:cut], is_whole=False)[0]
        except InputError:
            continue
        # composition may join the last letter with what follows it
        assert whole.startswith(part[:-2]), (part, whole)


NASTY = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="./\\:\0 a~\u202e\u0301", max_size=300),
    st.integers(1, 4000).map(lambda n: "x" * n),
)


@given(NASTY)
@example("A\u202e\u0300")
@examples(150)
def test_a_file_name_stays_inside_its_folder(name: str) -> None:
    for make in (safe_name, safe_path):
        try:
            kept = make(name)
        except InputError as error:
            assert error.message.zh
            continue
        parts = kept.split("/")
        assert kept and "\0" not in kept and not kept.startswith("/") and ".." not in parts and "" not in parts
        assert len(kept) <= 1000 and all(len(part.encode()) <= 255 for part in parts)
        assert make(kept) == kept  # said again, it is the same


@given(st.binary(max_size=3000), st.sampled_from(["a.md", "b.txt", "c.pdf", "d.docx", "e.html", "f"]))
@examples(60)
def test_any_file_is_recognised_or_refused(data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            assert sniff(path, name, Limits())
        except InputError as error:
            assert 400 <= error.http_status < 500 and error.message.zh


JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("\ud800")),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)
FIELDS = st.one_of(
    st.sampled_from([*wire.ChatRequest.model_fields, *wire.CompletionRequest.model_fields, "role", "content"]),
    st.text(max_size=8),
)


@given(st.dictionaries(FIELDS, JSON, max_size=6), st.lists(st.dictionaries(FIELDS, JSON, max_size=3), max_size=3))
@examples(150)
def test_a_body_is_a_request_or_one_clear_error(fields: dict[str, Any], messages: list[Any]) -> None:
    for data in (fields, {**fields, "messages": messages}, {**fields, "prompt": "x"}):
        _is_read_or_refused(data)


def _is_read_or_refused(data: dict[str, Any]) -> None:
    try:
        parsed = wire.parse_json(json.dumps(data).encode())
        wire.parse_request(wire.ChatRequest if "messages" in data else wire.CompletionRequest, parsed)
    except InputError as error:
        en, zh = error.message
        assert 400 <= error.http_status < 500 and en and zh and len(en) < 2000
        (en + zh).encode()
    else:
        json.dumps(parsed, ensure_ascii=False).encode()


@given(
    st.one_of(
        st.binary(max_size=400), st.text(alphabet='{}[]",:0123456789eE+-.\\u d8nulltrue', max_size=400).map(str.encode)
    )
)
@examples(150)
def test_any_bytes_are_an_object_or_an_error(body: bytes) -> None:
    try:
        assert isinstance(wire.parse_json(body), dict)
    except InputError as error:
        assert error.message.zh


@pytest.mark.parametrize("depth", [10, 200, 1000, 5000, 100_000])
def test_depth_is_an_error_at_most(depth: int) -> None:
    bodies = (b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth, b'{"a":' + b"[" * depth + b"]" * depth + b"}")
    for body in bodies:
        with suppress(InputError):
            wire.parse_json(body)


CODE = st.from_regex(re.compile(r"[A-Z]{1,3}-[0-9]{1,4}(?:[/-][A-Z0-9]{1,3}){0,2}"), fullmatch=True)
VERSION = st.from_regex(re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){2,3}"), fullmatch=True)


@given(
    st.one_of(CODE, VERSION),
    st.text(alphabet="abc XYZ 年 。,", max_size=30),
    st.text(alphabet="abc XYZ 年 。,", max_size=30),
)
@examples(150)
def test_a_code_is_found_whole_and_no_longer_one_is_taken_for_it(code: str, before: str, after: str) -> None:
    text = f"{before} {code} {after}"
    folded = code.casefold()
    assert folded in identifiers(text) and stands_in(folded, text)
    for longer in (f"{code}7", f"{code}.7", f"7{code}"):
        assert not stands_in(folded, f"{before} {longer} {after}")


@given(st.text(max_size=300))
@examples(150)
def test_claims_and_terms_of_any_text(text: str) -> None:
    claims_of(text)
    content_terms(text)
    assert all(code == code.casefold() for code in identifiers(text))


@given(
    st.lists(
        st.tuples(st.sampled_from(["!", "。", "a. ", "? ", "x", "\n", "”", "1.", " ", "…"]), st.integers(1, 3000)),
        max_size=5,
    )
)
@examples(60)
def test_sentences_hold_every_character_in_order(parts: list[tuple[str, int]]) -> None:
    text = "".join(unit * number for unit, number in parts)
    at = 0
    for start, end in sentences(text):
        assert at <= start < end and not text[at:start].strip()
        at = end
    assert not text[at:].strip()


def test_chinese_whose_bytes_are_valid_utf_8_is_chinese() -> None:
    assert decode(("知" * 40 + "\n").encode("gb18030")) == ("知" * 40 + "\n", "gb18030")
    hebrew = "שָׁלוֹם עֲלֵיכֶם וּבְרָכָה\n"
    assert decode(hebrew.encode())[1] == "utf-8"
