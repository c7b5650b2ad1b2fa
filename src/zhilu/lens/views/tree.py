"""1.5, how one answer is chosen of all there are: the likeliest token each time, a drawn one, or several beams kept side by side.

Every continuation is a branch of one tree and is computed in one pass with it: a token sees the prompt and its own ancestors, and
none of its cousins. What a beam scores is therefore what the model gives that text alone (tests/unit/lens).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from zhilu.engine.choose.sampler import log_softmax, make_generator, sample
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.observe import Observer
from zhilu.lens.prompt import PromptIn, read_prompt
from zhilu.lens.subject import Subject, small_enough, token_text

__all__ = ["TreeIn", "TreeOut", "grow"]

_MOST_TOKENS = 256


class TreeIn(PromptIn):
    """``width`` beams of ``depth`` tokens; the drawn answer uses ``temperature`` and ``seed``."""

    width: int = Field(3, ge=1, le=5)
    depth: int = Field(6, ge=1, le=12)
    temperature: float = Field(1.0, gt=0, le=5)
    seed: int = Field(1, ge=0)


class Node(BaseModel):
    """A token that may come. ``chance``: of it, after its parent; ``total``: log-probability of all from the prompt to here.

    ``rank``: its place among the beams that were kept at this depth; None where it was looked at and dropped.
    """

    id: int
    parent: int | None
    depth: int
    text: str
    chance: float
    total: float
    rank: int | None = None
    greedy: bool = False
    drawn: bool = False
    ends: bool = False  # the model's mark that the answer is over


class Answer(BaseModel):
    """``likelihood``: the chance of exactly this text, of one."""

    kind: str  # greedy, drawn or beam
    text: str
    total: float
    likelihood: float


class TreeOut(BaseModel):
    """``passes``: how often the model ran; ``kv_bytes``: of keys and values a token, in 16 bits, which a server keeps for each."""

    model: str
    tokens: list[str]
    nodes: list[Node]
    answers: list[Answer]
    passes: int
    kv_bytes: int


class _Leaf(NamedTuple):
    """The end of a branch: the nodes that lead there."""

    path: tuple[int, ...]
    total: float


def grow(subject: Subject, asked: TreeIn) -> TreeOut:
    """
    Raises:
        InputError: no text, too long a one, or too large a model.
    """
    small_enough(subject)
    prompt = read_prompt(subject, asked, most=_MOST_TOKENS)
    tree = _Tree(subject, prompt.ids)
    params = SamplingParams(max_tokens=1, temperature=asked.temperature)
    beams = [_Leaf((), 0.0)]
    greedy = drawn = _Leaf((), 0.0)
    for depth in range(asked.depth):
        rows = tree.run()
        greedy = tree.follow(greedy, rows, int(rows[greedy.path[-1] if greedy.path else -1].argmax()))
        row = rows[drawn.path[-1] if drawn.path else -1]
        drawn = tree.follow(drawn, rows, sample(row, params, make_generator(asked.seed, depth), (), {}).id)
        beams = tree.widen(beams, rows, asked.width)
    for leaf, mark in ((greedy, "greedy"), (drawn, "drawn")):
        for number in leaf.path:
            setattr(tree.nodes[number], mark, True)
    answers = [tree.answer("greedy", greedy), tree.answer("drawn", drawn), *(tree.answer("beam", one) for one in beams)]
    return TreeOut(
        model=subject.name,
        tokens=prompt.words,
        nodes=tree.nodes,
        answers=answers,
        passes=asked.depth,
        kv_bytes=subject.observer.config.kv_bytes_per_token(2),
    )


class _Tree:
    def __init__(self, subject: Subject, prompt: list[int]) -> None:
        self.nodes: list[Node] = []
        self._tokens: list[int] = []
        self._subject, self._prompt = subject, prompt
        self._at: dict[tuple[int | None, int], int] = {}

    def run(self) -> dict[int, npt.NDArray[np.float32]]:
        """One pass: the logits after every node, and after the prompt (-1)."""
        observer, n = self._subject.observer, len(self._prompt)
        x = _through(observer, [*self._prompt, *self._tokens], self._places(n), self._mask(n))
        rows = observer.logits(x[n - 1 :])
        return {number - 1: row for number, row in enumerate(rows)}

    def follow(self, leaf: _Leaf, rows: dict[int, npt.NDArray[np.float32]], token: int) -> _Leaf:
        """The branch one token longer; where the answer was over, it stays as it is."""
        last = leaf.path[-1] if leaf.path else -1
        if last >= 0 and self.nodes[last].ends:
            return leaf
        number = self._node(last, token, float(log_softmax(rows[last])[token]))
        return _Leaf((*leaf.path, number), self.nodes[number].total)

    def widen(self, beams: list[_Leaf], rows: dict[int, npt.NDArray[np.float32]], width: int) -> list[_Leaf]:
        """Each beam's likeliest next tokens; of all of them the likeliest ``width`` texts are kept."""
        found: list[_Leaf] = []
        for beam in beams:
            last = beam.path[-1] if beam.path else -1
            if last >= 0 and self.nodes[last].ends:
                found.append(beam)
                continue
            row = rows[last]
            found += [self.follow(beam, rows, int(token)) for token in np.argsort(-row, kind="stable")[:width]]
        kept = sorted(found, key=lambda one: -one.total)[:width]
        for rank, beam in enumerate(kept):
            self.nodes[beam.path[-1]].rank = rank
        return kept

    def answer(self, kind: str, leaf: _Leaf) -> Answer:
        raw = b"".join(self._subject.tokenizer.token_bytes(self._tokens[number]) for number in leaf.path)
        return Answer(
            kind=kind, text=raw.decode(errors="replace"), total=leaf.total, likelihood=float(np.exp(leaf.total))
        )

    def _node(self, parent: int, token: int, chance: float) -> int:
        key = (parent, token)
        if key not in self._at:
            self._at[key] = len(self.nodes)
            before = self.nodes[parent] if parent >= 0 else None
            tokenizer = self._subject.tokenizer
            self._tokens.append(token)
            self.nodes.append(
                Node(
                    id=len(self.nodes),
                    parent=before.id if before else None,
                    depth=before.depth + 1 if before else 1,
                    text=token_text(tokenizer.token_bytes(token)),
                    chance=float(np.exp(chance)),
                    total=(before.total if before else 0.0) + chance,
                    ends=token in tokenizer.special_ids,
                )
            )
        return self._at[key]

    def _places(self, n: int) -> list[int]:
        return [*range(n), *(n + node.depth - 1 for node in self.nodes)]

    def _mask(self, n: int) -> npt.NDArray[np.bool_]:
        mask = np.tri(n + len(self.nodes), dtype=bool)
        for node in self.nodes:
            seen = np.zeros(len(self.nodes), dtype=bool)
            if node.parent is not None:
                seen |= mask[n + node.parent, n:]
            seen[node.id] = True
            mask[n + node.id, n:] = seen
        return mask


def _through(
    observer: Observer, ids: list[int], places: list[int], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    x, angles = observer.embed(ids), observer.angles(places)
    for layer in range(observer.config.num_layers):
        x = observer.block(layer, x, angles, mask).out
    return x
