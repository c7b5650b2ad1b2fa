"""Text to token ids and back, from ``tokenizer.json`` or a GGUF file's header, without transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from zhilu.engine.model.config import read_json
from zhilu.engine.model.gguf import find_gguf, read_gguf
from zhilu.engine.text.chat_template import ChatTemplate
from zhilu.engine.text.gguf_tokenizer import gguf_tokenizer
from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T

__all__ = ["Tokenizer"]

_SHORT = 2000  # characters that are encoded in no time
_EDGE = 64  # tokens around a cut that may differ from those of the whole text
# Marks that a reader of the text needs, even where a tokenizer calls them special.
_KEPT = frozenset({"<tool_call>", "</tool_call>", "<think>", "</think>"})


class Tokenizer:
    """The tokenizer of one model folder or GGUF file; safe to share between threads (nothing changes after construction).

    Raises:
        NotFoundError: the folder has no ``tokenizer.json``.
        InputError: a file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        import tokenizers

        gguf = find_gguf(folder)
        if gguf:
            path = gguf
            raw, self._config = gguf_tokenizer(read_gguf(gguf))
        else:
            path = folder / "tokenizer.json"
            raw = read_json(path)
            stated = folder / "tokenizer_config.json"
            self._config = read_json(stated) if stated.is_file() else {}
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(raw))
        except Exception as error:  # the Rust library raises bare Exception
            raise InputError(T(f"{str(path)!r} is no tokenizer: {error}", f"{str(path)!r} 无法读取：{error}")) from None
        # A training-time truncation or padding setting would cut prompts silently.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._decoder_kind = (raw.get("decoder") or {}).get("type")
        added = self._tokenizer.get_added_tokens_decoder()
        self._added: dict[int, str] = {id: token.content for id, token in added.items()}
        self.special_ids = frozenset(id for id, t in added.items() if t.special and t.content not in _KEPT)
        self.token_bytes = lru_cache(maxsize=2**15)(self._token_bytes)  # each token that is generated asks
        self.base_vocab_size: int = self._tokenizer.get_vocab_size(with_added_tokens=False)
        self.vocab_size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self.chat_template = self._read_chat_template(folder)

    def _read_chat_template(self, folder: Path) -> ChatTemplate | None:
        """``chat_template.jinja`` (transformers 5's place) before the key in ``tokenizer_config.json``."""
        own_file = folder / "chat_template.jinja"
        try:
            source = own_file.read_text(encoding="utf-8") if own_file.is_file() else self._config.get("chat_template")
            if isinstance(source, list):  # several named templates
                source = {entry["name"]: entry["template"] for entry in source}.get("default")
        except (ValueError, TypeError, KeyError):
            source = 0
        if source is not None and not isinstance(source, str):
            raise InputError(T("the model's chat template is no text", "模型的对话模板不是文本"), code="bad_template")
        return ChatTemplate(source, self.named_tokens) if source else None

    @cached_property
    def named_tokens(self) -> dict[str, str]:
        """``{"eos_token": "<|im_end|>", …}`` as far as the model names them."""
        named = {}
        for key, value in self._config.items():
            content = value.get("content") if isinstance(value, Mapping) else value
            if key.endswith("_token") and isinstance(content, str):
                named[key] = content
        return named

    @property
    def eos_id(self) -> int | None:
        return self.id_of(self.named_tokens.get("eos_token", ""))

    def id_of(self, token: str) -> int | None:
        id = self._tokenizer.token_to_id(token)
        return None if id is None else int(id)

    def name_of(self, id: int) -> str | None:
        """The token as the vocabulary spells it (``Ġword``), which is not its text."""
        name = self._tokenizer.id_to_token(id)
        return None if name is None else str(name)

    def info(self) -> dict[str, Any]:
        """``tokenizer_config.json`` with the chat template, for those who want to render prompts themselves."""
        template = self.chat_template.source if self.chat_template else None
        return {"tokenizer_class": "PreTrainedTokenizerFast", **self._config, "chat_template": template}

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Token ids; special tokens written out in ``text`` are recognised, as transformers does."""
        if len(text) < _SHORT:
            return list(self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)
        return list(self._encode_long(text, add_special_tokens).ids)

    def encode_with_offsets(
        self, text: str, add_special_tokens: bool = False
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """``encode``, and for every token the characters ``(from, to)`` of ``text`` that it stands for.

        Tokens that are parts of one character all name that character; tokens that were added name ``(0, 0)``.
        """
        encoding = self._encode_long(text, add_special_tokens)
        return list(encoding.ids), [(begin, end) for begin, end in encoding.offsets]

    def _encode_long(self, text: str, add_special_tokens: bool) -> Any:
        """The library's ``Encoding``. A batch of one: it lets go of Python's lock for batches alone, and a megabyte takes
        seconds. A word of ten million letters is beyond its regular expressions, which panic."""
        try:
            return self._tokenizer.encode_batch([text], add_special_tokens=add_special_tokens)[0]
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # pyo3's, not an Exception and not to be imported
                raise
            raise TooLargeError(
                T(
                    f"a text of {len(text)} characters cannot be split into tokens: {error}",
                    f"无法把 {len(text)} 个字符的文本切分为 token：{error}",
                )
            ) from None

    def encode_within(self, text: str, at_most: int, param: str, add_special_tokens: bool = True) -> list[int]:
        """Token ids of a prompt that must not have more than ``at_most``; a far longer one is not read to its end.

        Its beginning is encoded first: where that alone is too long, so is the whole. A cut moves the tokens around it and
        no others, so a beginning that is too long by ``_EDGE`` is certain. The work is bounded by ``at_most``, not by what
        was sent.

        Raises:
            InputError: too long (code ``context_length_exceeded``, at the field ``param``).
        """
        window = 4 * at_most + _SHORT
        while window < len(text):
            found = len(self.encode(text[:window], add_special_tokens))
            if found > at_most + _EDGE:
                raise InputError(
                    T(
                        f"the context holds {at_most} tokens; the prompt has {len(text)} characters, of which the first "
                        f"{window} alone are {found} tokens",
                        f"上下文长度为 {at_most} 个 token；提示词有 {len(text)} 个字符，仅前 {window} 个字符就有 {found} 个 token",
                    ),
                    param=param,
                    code="context_length_exceeded",
                )
            window *= 4
        return self.encode(text, add_special_tokens)

    def keep_end(self, text: str, num_tokens: int, *, first: bool) -> str:
        """The part of ``text`` that surely holds its first (or last) ``num_tokens`` tokens: to cut what is cut anyway."""
        window = (num_tokens + _EDGE) * self._longest
        return text[:window] if first else text[-window:]

    @cached_property
    def _longest(self) -> int:
        """Characters of the longest token."""
        return max(map(len, self._tokenizer.get_vocab()), default=1)

    def spec(self) -> dict[str, Any]:
        """The tokenizer as ``tokenizer.json`` writes it down: vocabulary, merges, and what is done before them."""
        whole: dict[str, Any] = json.loads(self._tokenizer.to_str())
        return whole

    def pieces(self, text: str) -> list[str]:
        """What the text is cut into before any merge, spelled as the vocabulary spells it; no merge crosses a cut."""
        raw = self._tokenizer
        text = raw.normalizer.normalize_str(text) if raw.normalizer else text
        return [piece for piece, _ in raw.pre_tokenizer.pre_tokenize_str(text)] if raw.pre_tokenizer else [text]

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """Text of ``ids``; bytes that are no UTF-8 (yet) become U+FFFD. Ids beyond the vocabulary decode to nothing."""
        kept = [id for id in ids if not (skip_special_tokens and id in self.special_ids)]
        return str(self._tokenizer.decode(kept, skip_special_tokens=False))

    @property
    def is_byte_level(self) -> bool:
        """A text is nothing but its tokens' bytes."""
        return bool(self._decoder_kind == "ByteLevel")

    def _token_bytes(self, id: int) -> bytes:
        """The bytes that one token stands for: half a character is possible, which text cannot show."""
        if id in self._added:
            return self._added[id].encode()
        token = self._tokenizer.id_to_token(id)
        if token is None:
            return b""
        if self._decoder_kind == "ByteLevel" and all(c in _BYTE_OF for c in token):
            return bytes(_BYTE_OF[c] for c in token)
        if len(token) == 6 and token.startswith("<0x"):  # SentencePiece byte fallback
            return bytes.fromhex(token[3:5])
        return token.replace("\u2581", " ").encode()

    def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> str:
        """The prompt text of a conversation; InputError if the model has no chat template."""
        if self.chat_template is None:
            raise InputError(
                T(
                    "this model has no chat template; use /v1/completions",
                    "该模型没有对话模板；请使用 /v1/completions",
                ),
                param="messages",
                code="no_chat_template",
            )
        return self.chat_template.render(messages, tools, add_generation_prompt, **variables)


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for the 256 bytes (openai/gpt-2, encoder.py, ``bytes_to_unicode``), inverted."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


_BYTE_OF = _byte_alphabet()
