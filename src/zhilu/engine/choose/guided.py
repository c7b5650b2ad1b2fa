"""Guided decoding: after every token, which tokens may come next so that the text still fits a grammar.

llguidance does the parsing (MIT, one 8 MB Rust library, no torch): a lexer of derivatives and an Earley parser over bytes, so a
token may end in the middle of a Chinese character. Text that the grammar fixes (``{"name": "``) is forced, split into tokens as
the tokenizer would split it. ``guided_grammars.py`` writes the grammars.

A grammar is checked when its request arrives (``Guides.check``, from any thread), never for the first time in a step.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.choose.guided_grammars import Grammar
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

__all__ = ["Guide", "Guides"]

Mask = npt.NDArray[np.bool_]  # (vocab_size,)

_MAX_GRAMMAR_CHARS = 1_000_000
# Compiled grammars that are kept: applications send the same few schemas again and again.
_NUM_KEPT = 64
_CLOSE, _TIMES = b"</tool_call>", 3


class Guide:
    """Where one sequence stands in its grammar. Used by the engine's thread only.

    The turn: ``allowed()`` masks the next token, ``take(id)`` goes on with the chosen one. To verify several drafted
    tokens at once, ask and take position by position, and stop at the first draft that is not chosen: then nothing has
    to be taken back. ``rollback`` is there for callers who went on before they knew.

    Args:
        spell: a token's bytes, where the grammar is of tool calls: small models that must call go on with the calls they made
            until their room is used up. A call that comes for the third time is their last.
    """

    def __init__(self, matcher: LLMatcher, vocab_size: int, spell: Callable[[int], bytes] | None = None) -> None:
        self._matcher = matcher
        self._vocab_size = vocab_size
        self._spell = spell
        self._pieces: list[bytes] = []
        self._repeats = False

    def allowed(self) -> Mask:
        """Tokens that may come next; the end-of-text tokens are among them once the grammar is satisfied.

        Raises:
            InputError: the grammar became too ambiguous for the parser's limits here, or no token goes on.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(bits, bitorder="little", count=self._vocab_size).view(np.bool_)
        if self._matcher.is_error() or not mask.any():
            raise self._failed()
        return mask

    def take(self, id: int) -> None:
        """Go on with a token that ``allowed`` has allowed; InputError for any other."""
        if not self._matcher.consume_token(id):
            raise self._failed()
        if self._spell is not None:
            self._pieces.append(self._spell(id))
            if b">" in self._pieces[-1] and b"".join(self._pieces[-len(_CLOSE) :]).rstrip().endswith(_CLOSE):
                calls = [call.strip() for call in b"".join(self._pieces).split(_CLOSE)[:-1]]
                self._repeats = calls.count(calls[-1]) >= _TIMES

    def count_fitting(self, ids: Sequence[int]) -> int:
        """How many tokens of a draft the grammar would take from here on. Changes nothing."""
        return int(self._matcher.validate_tokens(list(ids)))

    def forced(self) -> list[int]:
        """Tokens that must come next whatever the model says (free drafts); empty where there is a choice."""
        return list(self._matcher.compute_ff_tokens())

    def rollback(self, count: int) -> None:
        """Take back the last ``count`` tokens."""
        if count and not self._matcher.rollback(count):
            raise self._failed()
        if count and self._spell is not None:
            del self._pieces[-count:]
            self._repeats = False

    @property
    def may_end(self) -> bool:
        """The text so far is complete; more may follow."""
        return bool(self._matcher.is_accepting())

    @property
    def is_finished(self) -> bool:
        """The text is complete and nothing can follow: the sequence must end here."""
        if self._repeats:  # even behind a token that ends the call and begins the next line: ``>\n``
            return True
        return bool(self._matcher.is_stopped()) and not self._matcher.is_error()

    def _failed(self) -> InputError:
        """The grammar came with the request, and its limits are the same for every engine that runs it: no fault of ours."""
        reason = self._matcher.get_error() or self._matcher.stop_reason()
        return InputError(
            T(f"guided decoding cannot go on: {_short(reason)}", f"约束解码无法继续：{_short(reason)}"),
            code="guided_decoding_failed",
        )


class Guides:
    """Grammars over one tokenizer.

    Args:
        vocab_size: of the logits; often larger than the tokenizer's own, padded for the hardware.
        eos_ids: tokens that end a text.
    """

    def __init__(self, tokenizer: Tokenizer, vocab_size: int, eos_ids: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._eos_ids = sorted(id for id in eos_ids if id < vocab_size)
        self._lock = threading.Lock()
        self._lexicon: LLTokenizer | None = None
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()

    def check(self, grammar: str) -> None:
        """Compile a grammar, so that ``start`` is quick afterwards; InputError if it is none or cannot be done."""
        self._compile(grammar)

    def start(self, grammar: str) -> Guide:
        """The beginning of ``grammar``, for one sequence. InputError as with ``check``."""
        spell = self._tokenizer.token_bytes if isinstance(grammar, Grammar) and grammar.has_calls else None
        return Guide(self._compile(grammar).deep_copy(), self._vocab_size, spell)

    def _compile(self, grammar: str) -> LLMatcher:
        from llguidance import LLMatcher, LLParserLimits

        if len(grammar) > _MAX_GRAMMAR_CHARS:
            raise InputError(
                T(
                    f"the grammar has {len(grammar)} characters; at most {_MAX_GRAMMAR_CHARS} are taken",
                    f"约束语法有 {len(grammar)} 个字符；最多 {_MAX_GRAMMAR_CHARS} 个",
                )
            )
        with self._lock:
            if grammar in self._compiled:
                self._compiled.move_to_end(grammar)
                return self._compiled[grammar]
            if self._lexicon is None:
                self._lexicon = _lexicon(self._tokenizer, self._vocab_size, self._eos_ids)
        # Not under the lock: a grammar may take seconds, and the engine's thread starts others meanwhile.
        matcher = LLMatcher(self._lexicon, grammar, log_level=0, limits=LLParserLimits(verbose_errors=False))
        is_one = False
        if not matcher.is_error():
            # A grammar that nothing fits shows when the first token is asked for.
            with suppress(InputError):
                Guide(matcher.deep_copy(), self._vocab_size).allowed()
                is_one = True
        if not is_one:
            raise InputError(_why_not(matcher), code="unsupported_grammar")
        with self._lock:
            self._compiled[grammar] = matcher
            while len(self._compiled) > _NUM_KEPT:
                self._compiled.popitem(last=False)
        return matcher


def _why_not(matcher: LLMatcher) -> T:
    if matcher.is_error():
        return T.of(_short(matcher.get_error()))
    probe = matcher.deep_copy()
    probe.compute_bitmask()
    reason = _short(probe.get_error())
    if not reason or reason.startswith("NoExtension"):
        return T("no text fits it", "没有任何文本符合它")
    return T.of(reason)


class _Vocabulary:
    """What llguidance asks of a tokenizer. Only the tokenizer's special tokens are special: ``<tool_call>`` is text."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, vocab_size: int, eos_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self.tokens = [tokenizer.token_bytes(id) for id in range(vocab_size)]
        # Where a model names no end, a token beyond its vocabulary stands for it, which is never drawn.
        self.tokens.append(b"<end of text>")
        self.eos_token_id = eos_ids[0] if eos_ids else vocab_size
        self.special_token_ids = sorted({*tokenizer.special_ids, *eos_ids, vocab_size})

    def __call__(self, text: Any) -> list[int]:
        if not isinstance(text, str):
            raise TypeError("text, not bytes")  # llguidance tries both and keeps to what works
        return self._tokenizer.encode(text, add_special_tokens=False)


def _lexicon(tokenizer: Tokenizer, vocab_size: int, eos_ids: Sequence[int]) -> LLTokenizer:
    from llguidance import LLTokenizer
    from llguidance._tokenizer import TokenizerWrapper

    vocabulary = _Vocabulary(tokenizer, vocab_size, eos_ids)
    return LLTokenizer(TokenizerWrapper(vocabulary), eos_token=list(eos_ids) or [vocabulary.eos_token_id])


def _short(reason: str, limit: int = 400) -> str:
    """Without the place in our own grammar text, which the sender has never seen."""
    reason = re.sub(r"^at \d+\(\d+\): |\n +1 \| .*", "", reason, flags=re.DOTALL)
    reason = " ".join(reason.replace("<non-verbose/>", "").split())
    return reason if len(reason) <= limit else reason[: limit - 1] + "…"
