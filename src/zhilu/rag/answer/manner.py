"""Two ways to ask a model: one that only copies gets numbered passages to copy from; one that reads is simply asked.

zhilu-nano was trained on the first kind of prompt and does nothing else well. A model a hundred times larger answers worse with
it: the clause that allows a refusal makes it refuse what is there, and right short answers were rejected for their wording.
The size of a model decides which way it is asked, never its name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from zhilu.errors import NotFoundError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["COPIES", "READS", "Manner", "manner_of"]

READER_PARAMETERS = 100_000_000  # zhilu-nano has 9.7 M; the smallest one measured as a reader has 0.5 B


@dataclass(frozen=True)
class Manner:
    """How a model is asked and judged.

    Attributes:
        reads: it answers in its own words, judged by what they claim; else it copies, and its words are looked up.
        passages: at most so many of the passages found stand in its prompt; where ``prompt_tokens`` is given, those behind
            the second only as far as the whole prompt stays below it, for every token is waited for.
        answer_tokens: the longest answer.
        thinking: of the model, before it answers: ``switch``: it is told not to; ``always``: there must be room for it.
    """

    reads: bool
    passages: int | None
    answer_tokens: int
    thinking: Literal["switch", "always"] | None = None
    prompt_tokens: int | None = None


COPIES = Manner(reads=False, passages=None, answer_tokens=256)
# In order of their nearest sentences the first three passages hold the answer to 108 of 113 questions of benchmarks/answers, and
# the fourth to one more (the first two to 103).
READS = Manner(reads=True, passages=3, answer_tokens=160, prompt_tokens=800)


def manner_of(context: Context, model: str) -> tuple[Manner, T]:
    """The manner for ``model``, and why. A model that is not in the store (another server's) is taken for a reader."""
    from zhilu.models.apis.store import api_of
    from zhilu.models.store import ModelStore

    thinking: Literal["switch", "always"] | None = None
    try:
        info = ModelStore(context).get(model)
        parameters, thinking = info.parameters, info.thinking
    except NotFoundError:
        thinking = "always" if api_of(context.home, model) else None  # nobody knows, so that there is room
        parameters = _adapted(context, model)
    if 0 < parameters < READER_PARAMETERS:
        return COPIES, T(
            f"{parameters / 1e6:.1f} M parameters: it copies from passages",
            f"参数 {parameters / 1e6:.1f} M：从段落中抄写",
        )
    return replace(READS, thinking=thinking) if thinking else READS, T(
        "it reads passages and answers by itself", "能读段落并自己回答"
    )


def _adapted(context: Context, name: str) -> int:
    """Parameters of the model that an adapter of this name was trained on; 0 if unknown."""
    from zhilu.models.adapters import list_adapters
    from zhilu.models.store import ModelStore

    base = next((a.base_model for a in list_adapters(context) if a.name == name), None)
    if base is None:
        return 0
    models = ModelStore(context).list()
    return next((m.parameters for m in models if base in (m.name, m.path) or base.endswith(f"/{m.name}")), 0)
