"""What the model will see of an example: its text, its tokens, and which of them carry loss.

The loss mask comes from the model's own chat template, by prefix difference: what the template adds when an answer is
appended to the messages before it is what the model has to say itself. That holds for every template, where the
``{% generation %}`` marks that trainers otherwise rely on are missing from most of them (and give a mask of zeros in silence).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zhilu.errors import ZhiluError
from zhilu.tuning.data.formats import RowError
from zhilu.tuning.data.records import Example

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.engine.text.tokenizer import Tokenizer

__all__ = ["Preflight", "Rendered"]


@dataclass(frozen=True)
class Rendered:
    """One training sequence.

    Attributes:
        ids: token ids (length); ``offsets`` says which characters of ``text`` each stands for.
        learned: for every token, whether it carries loss.
        prompt_differs: what the template writes before this answer is not what it writes when it asks for one, so
            the model is trained behind another prompt than it is served behind.
    """

    text: str
    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    learned: tuple[bool, ...]
    prompt_differs: bool = False

    @property
    def size(self) -> int:
        return len(self.ids)

    @property
    def num_learned(self) -> int:
        return sum(self.learned)

    def pieces(self) -> list[tuple[str, bool]]:
        """The text cut where the loss begins and ends: ``(text, learned)``; joined, they are the text."""
        cuts: list[tuple[int, bool]] = []
        for (begin, end), learned in zip(self.offsets, self.learned, strict=True):
            if end > begin and (not cuts or cuts[-1][1] != learned):
                cuts.append((begin, learned))
        if not cuts:
            return [(self.text, False)]
        cuts[0] = (0, cuts[0][1])
        ends = [*(at for at, _ in cuts[1:]), len(self.text)]
        return [(self.text[at:end], learned) for (at, learned), end in zip(cuts, ends, strict=True)]


class Preflight:
    """Renders examples for one model.

    Args:
        ends: token ids that end an answer.
        context: tokens that the model can hold.
    """

    def __init__(self, tokenizer: Tokenizer, ends: frozenset[int], context: int, name: str = "") -> None:
        self.tokenizer, self.ends, self.context, self.name = tokenizer, ends, context, name

    @classmethod
    def of(cls, context: Context, model: str) -> Preflight:
        """For a model of the store.

        Raises:
            NotFoundError: there is none of this name.
            InputError, UnsupportedError: its files cannot be read.
        """
        from zhilu.engine.model.config import read_config
        from zhilu.engine.text.ends import end_ids
        from zhilu.engine.text.tokenizer import Tokenizer
        from zhilu.models import ModelStore

        folder = ModelStore(context).path_of(model)
        config, tokenizer = read_config(folder), Tokenizer(folder)
        return cls(tokenizer, end_ids(folder, config, tokenizer), config.max_positions, model)

    def render(self, example: Example) -> list[Rendered]:
        """The sequences of an example: two for a preference pair, one otherwise; more where the template writes earlier
        answers differently once there is a later one (thoughts that are dropped): then each answer has its own.

        Raises:
            RowError: the template refuses the messages, nothing would carry loss, or the end is not learned.
        """
        if example.kind == "text":
            return [self._plain(example.text)]
        if example.kind == "preference":
            before = frozenset(range(len(example.messages)))
            pair = (example.chosen, example.rejected)
            return [one for side in pair for one in self._chat([*example.messages, *side], example.tools, before)]
        return self._chat(list(example.messages), example.tools, example.unlearned)

    def _plain(self, text: str) -> Rendered:
        ids, offsets = self.tokenizer.encode_with_offsets(text, add_special_tokens=True)
        end = self.tokenizer.eos_id
        if end is not None:
            ids, offsets = [*ids, end], [*offsets, (len(text), len(text))]
        return Rendered(text, tuple(ids), tuple(offsets), tuple([True] * len(ids)))

    def _chat(self, messages: list[dict[str, Any]], tools: Sequence[Any], unlearned: frozenset[int]) -> list[Rendered]:
        answers = [i for i, m in enumerate(messages) if m["role"] == "assistant" and i not in unlearned]
        if not answers:
            raise RowError(
                "all_masked", "no answer carries loss: nothing would be learned", "没有任何回答计入损失：什么也学不到"
            )
        whole = self._text(messages, tools)
        spans: list[tuple[int, int]] = []
        alone: list[tuple[str, tuple[int, int]]] = []
        differs = False
        for at in answers:
            after = self._text(messages[: at + 1], tools)
            begin, same = self._begin(messages[:at], tools, after)
            differs = differs or not same
            if whole.startswith(after):
                spans.append((begin, len(after)))
            else:
                alone.append((after, (begin, len(after))))
        rendered = [self._masked(whole, spans, differs)] if spans else []
        return rendered + [self._masked(text, [span], differs) for text, span in alone]

    def _begin(self, before: list[dict[str, Any]], tools: Sequence[Any], after: str) -> tuple[int, bool]:
        """Where the answer begins in ``after``, and whether the prompt that asks for it stands before it unchanged."""
        asking = self._text(before, tools, asks=True) if before else ""
        if after.startswith(asking):
            return len(asking), True
        # Some templates ask with words that they leave out of a finished answer (an empty thought, for example).
        return next((at for at, (a, b) in enumerate(zip(asking, after, strict=False)) if a != b), len(after)), False

    def _text(self, messages: list[dict[str, Any]], tools: Sequence[Any], asks: bool = False) -> str:
        if self.tokenizer.chat_template is None:
            raise RowError(
                "no_template",
                f"the model {self.name!r} has no chat template: it is a base model, which learns from rows with 'text'",
                f"模型 {self.name!r} 没有对话模板：它是基座模型，应使用带 'text' 的数据",
            )
        try:
            return self.tokenizer.render_chat(messages, tools or None, add_generation_prompt=asks)
        except ZhiluError as error:
            raise RowError("template_refuses", error.message.en, error.message.zh) from None

    def _masked(self, text: str, spans: list[tuple[int, int]], differs: bool) -> Rendered:
        ids, offsets = self._encode(text, [begin for begin, _ in spans])
        learned = [False] * len(ids)
        for begin, end in spans:
            inside = [at for at, (a, b) in enumerate(offsets) if a >= begin and b <= end and b > a]
            if not inside:
                raise RowError(
                    "all_masked",
                    "an answer has no token of its own: nothing would be learned",
                    "回答没有自己的 token：什么也学不到",
                )
            last = next((at for at in reversed(inside) if ids[at] in self.ends), None)
            if last is None:
                named = ", ".join(repr(self.tokenizer.name_of(id) or id) for id in sorted(self.ends)) or "-"
                raise RowError(
                    "never_ends",
                    f"the model stops at {named}, and its template writes none of them behind an answer: the trained model would "
                    "never stop",
                    f"模型遇到 {named} 才停止，而模板在回答之后没有写出其中任何一个：训练出的模型将停不下来",
                )
            for at in inside:
                learned[at] = at <= last  # a line feed behind the end is never generated
        return Rendered(text, tuple(ids), tuple(offsets), tuple(learned), differs)

    def _encode(self, text: str, cuts: list[int]) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids and offsets. No token reaches over a cut: the prompt that is served ends there, and a line feed of the
        template would otherwise melt into one with which the answer begins."""
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            some, places = self.tokenizer.encode_with_offsets(text[begin:end])
            ids += some
            offsets += [(begin + a, begin + b) for a, b in places]
        return ids, offsets
