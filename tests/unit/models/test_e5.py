"""multilingual-e5-small: its 4-bit file, and what it understands."""

from __future__ import annotations

import shutil
import struct
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from zhilu.context import open_context
from zhilu.errors import DamagedError, MissingComponentError
from zhilu.models.embedders import e5, load_embedder
from zhilu.models.embedders.packed import is_packed, read_packed
from zhilu.models.embedders.testing import EmbedderConformance
from zhilu.models.offers.embedder import EMBEDDER


def test_until_it_is_fetched_the_one_in_the_package_is_the_default(own_home):
    context = open_context({"threads": 1})
    assert load_embedder("auto", context).name != "e5-small"
    with pytest.raises(MissingComponentError) as caught:
        load_embedder("e5-small", context)
    assert caught.value.fix == "zhilu setup embedder"
    state = EMBEDDER.state(context)
    assert state.status == "absent" and (state.size_bytes or 0) > 50_000_000
    assert EMBEDDER.state(open_context({"embedder": "bilingual"})).status == "declined"
    assert EMBEDDER.state(open_context({"starter": "auto"})).is_automatic
    assert not EMBEDDER.state(open_context({"starter": "none"})).is_automatic


@pytest.mark.parametrize(
    "content", [b"E5S1", b"E5S1" + b"\0" * 40, b"PK\x03\x04" + b"\0" * 99, b"E5S1" + b"\xff" * 400]
)
def test_a_file_that_is_none_or_cut_off_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / e5.PACKED
    path.write_bytes(content)
    assert is_packed(path) == content.startswith(b"E5S1")
    with pytest.raises(DamagedError):
        read_packed(path)


@cache
def _loaded(folder: Path) -> e5.E5:
    return e5.E5(folder, threads=1)


@pytest.mark.real_model
class TestE5(EmbedderConformance):
    @pytest.fixture
    def embedder(self, real_model):
        return _loaded(real_model("e5-small"))

    def test_other_words_and_the_other_language_are_found(self, embedder):
        passages = [
            "装修施工时间为工作日 8:00 至 12:00，周六、周日禁止施工。",
            "地下车位月租 380 元，地面车位月租 260 元。",
            "The deposit is paid back within 30 days after the flat has been inspected.",
            "Orders placed before noon leave the same day.",
        ]
        questions = [
            "周六能用电钻吗？",
            "停车一个月要花多少？",
            "退房后押金什么时候到账？",
            "When is my order shipped?",
            "Can I drill on Saturday?",
        ]
        found = embedder.embed(questions, "query") @ embedder.embed(passages, "passage").T
        assert found.argmax(axis=1).tolist() == [0, 1, 2, 3, 0]

    def test_a_cosine_means_the_same_in_both_languages(self, embedder):
        one, other = embedder.embed(["The museum is closed on Mondays.", "博物馆周一闭馆。"])
        stranger = embedder.embed(["打印一页需要三角钱。"])[0]
        assert float(one @ other) > 0.5 > float(one @ stranger)

    def test_the_default_where_it_is_in_the_store(self, own_home, real_model):
        context = open_context({"threads": 1})
        folder = context.home.models / "multilingual-e5-small-4bit"
        folder.mkdir(parents=True)
        (folder / e5.PACKED).symlink_to(real_model("e5-small") / e5.PACKED)
        assert load_embedder("auto", context).name == "e5-small"
        assert EMBEDDER.state(context).status == "here"

    def test_a_file_cut_off_in_its_weights_is_damaged(self, tmp_path, real_model):
        whole = real_model("e5-small") / e5.PACKED
        cut = tmp_path / e5.PACKED
        shutil.copyfile(whole, cut)
        with cut.open("r+b") as file:
            file.truncate(whole.stat().st_size - 1_000_000)
        with pytest.raises(DamagedError, match="cut off"):
            read_packed(cut)


def test_blocks_of_four_bits_are_unpacked_as_they_were_packed() -> None:
    from zhilu.models.embedders.packed import _unpack

    values = np.arange(32) % 16
    packed = values[:16] | (values[16:] << 4)
    row = np.frombuffer(struct.pack("<e", 0.5) + packed.astype(np.uint8).tobytes(), np.uint8)
    assert _unpack(row[None]).tolist() == [[(v - 8) * 0.5 for v in values.tolist()]]
