"""What the lessons say: a title, a few plain paragraphs, and a question to guess before one looks."""

from __future__ import annotations

from typing import NamedTuple

from zhilu.messages import T

__all__ = ["WORDS", "Words"]


class Words(NamedTuple):
    name: T  # of the tab and the gate
    title: T
    lesson: T
    question: T
    options: tuple[T, ...]


_TIMES = tuple(T(f"{n} times as much", f"{n} 倍") for n in (2, 4))

WORDS: dict[str, Words] = {
    "6.3": Words(
        T("FlashAttention", "FlashAttention"),
        T("Attention without writing it down", "不写下注意力矩阵的注意力"),
        T(
            "Every token looks at every token before it. For 4,000 tokens that is a table of 16 million numbers for each head, "
            "written to memory, read for the softmax, written again and read once more. Waiting for memory, not arithmetic, is "
            "what makes attention slow.\n\n"
            "FlashAttention never writes that table. It takes a small tile of it, turns the tile into a part of the answer and "
            "forgets it. The difficulty is the softmax: it divides by a sum over the whole row, and the row is not there. The way "
            "out is to keep two numbers for each row, the largest score so far and the sum so far. When a tile brings a larger "
            "score, what was collected before is scaled down by `exp(old - new)` and the sum goes on. Nothing is "
            "approximated: the answer is the same.\n\n"
            "For the gradient, the tiles are computed once more instead of being kept: more arithmetic, less memory, and faster.",
            "每个 token 都要看前面的每个 token。4000 个 token 时，每个头就是一张 1600 万个数的表：写进内存、读出来算 softmax、"
            "再写回去、再读一遍。注意力慢，慢在等内存，而不是算术。\n\n"
            "FlashAttention 从不写出这张表。它取其中一小块，把它变成答案的一部分，然后就忘掉。难点在 softmax：它要除以整行的和，"
            "而整行并不在手上。办法是为每一行记住两个数：目前的最大分数和目前的和。新的一块带来更大的分数时，把之前攒下的结果乘以 "
            "`exp(旧 - 新)` 缩小，再接着加。没有任何近似，答案完全一样。\n\n"
            "求梯度时，这些小块会重新算一遍而不是存下来：算术多一点，内存少得多，反而更快。",
        ),
        T(
            "The text becomes twice as long. How much more working memory does the tiled version need?",
            "文本变成两倍长，分块版本需要多少工作内存？",
        ),
        (T("the same", "一样多"), *_TIMES),
    ),
}
