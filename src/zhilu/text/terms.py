"""Words for BM25: how text is cut for the full-text index, and how a question becomes a query of it.

FTS5 stems English itself (``porter unicode61``) but takes a whole Chinese sentence for one word, which finds nothing (recall@5
0.17). So Chinese is written to the index as single characters and pairs, separated by spaces (recall@5 0.996, as good as a
dictionary segmenter, without a dictionary). Question words and stop words are dropped from queries: they cost time and pull up
passages that share only the question's grammar.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["content_terms", "match_query", "query_terms", "segment", "stem", "terms"]

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+")
_MAX_TERMS = 64  # a pasted page as a question must not become a query of a thousand terms

_EN_WORDS = """
a about above after again all also am an and any are as at be because been before being below between both but by
can could did do does doing down during each few for from further had has have having he her here hers him his how i
if in into is it its itself just let like me more most my myself no nor not now of off on once only or other our ours
out over own please s same she should so some such t tell than that the their theirs them then there these they this
those through to too under until up us very was we were what when where which while who whom whose why will with
would you your yours
"""
_ZH_WORDS = """
为什么 是什么 有什么 什么时候 什么样 什么 怎么样 怎么 怎样 如何 哪一年 哪一个 哪一种 哪个 哪些 哪里 哪儿 哪位 哪年 哪种 哪 谁
多少 几个 多大 多久 多长 多高 是否 有没有 是不是 能否 请问 请 告诉 我 你 您 他 她 它 我们 他们 吗 呢 吧 啊 呀 的 了 着 过 地 得 在 是
和 与 及 或 被 把 将 对 从 由 于 为 以 而 其 之 这 那 这个 那个 这些 那些 就 都 也 还 又 很 有 一个 一种 个
"""
_EN_STOP = frozenset(_EN_WORDS.split())
# Longest first, so that 为什么 goes before 什么.
_ZH_STOP = sorted(_ZH_WORDS.split(), key=len, reverse=True)
_ZH_STOP_RE = re.compile("|".join(_ZH_STOP))


def segment(text: str) -> str:
    """Text as it is written to the full-text index: words as they are, Chinese as characters and pairs."""
    return " ".join(_cut(unicodedata.normalize("NFKC", text)))


def terms(text: str) -> list[str]:
    """The terms of a text for comparing it in memory: stemmed lower-case words, Chinese characters and pairs."""
    return [term if _is_han(term) else stem(term) for term in _cut(unicodedata.normalize("NFKC", text).lower())]


def content_terms(text: str) -> list[str]:
    """``terms`` without stop words and question words; may be empty."""
    text = unicodedata.normalize("NFKC", text).lower()
    kept = (t for t in _cut(_ZH_STOP_RE.sub(" ", text)) if t not in _EN_STOP)
    return [term if _is_han(term) else stem(term) for term in kept]


def query_terms(question: str) -> list[str]:
    """The terms of a question that say what it is about, in order, each once; all of its words if nothing is left."""
    text = unicodedata.normalize("NFKC", question).lower()
    kept = [t for t in _cut(_ZH_STOP_RE.sub(" ", text)) if t not in _EN_STOP]
    return list(dict.fromkeys(kept or _cut(text)))[:_MAX_TERMS]


def match_query(question: str) -> str:
    """``query_terms`` as an FTS5 expression (any of them); empty if the question holds no word at all."""
    return " OR ".join(f'"{term}"' for term in query_terms(question))


def stem(word: str) -> str:
    """A light English stemmer (plural, -ing, -ed, -ly); enough to see that "founded" and "founding" are one word."""
    if len(word) <= 3 or not word.isascii():
        return word
    for suffix, put, least in (("sses", "ss", 4), ("ies", "y", 5), ("ss", "ss", 2), ("us", "us", 2), ("s", "", 4)):
        if word.endswith(suffix) and len(word) >= least:
            word = word[: -len(suffix)] + put
            break
    for suffix in ("ing", "edly", "ed", "ly"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _cut(text: str) -> Iterator[str]:
    for match in _RUN.finditer(text):
        run = match.group()
        yield from _pairs(run) if _is_han(run) else (run,)


def _pairs(run: str) -> Iterator[str]:
    for index, character in enumerate(run):
        yield character
        if index + 1 < len(run):
            yield run[index : index + 2]


def _is_han(term: str) -> bool:
    return "\u3400" <= term[0] <= "\u9fff" or "\uf900" <= term[0] <= "\ufaff"
