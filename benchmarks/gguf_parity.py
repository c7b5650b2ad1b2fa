"""Our engine against others on one real GGUF file: the tokens of texts, greedy answers, and the numbers themselves.

    python benchmarks/gguf_parity.py FILE.gguf
    python benchmarks/gguf_parity.py FILE.gguf --corpus FOLDER --parts tokens greedy --json parity.json

``tokens``: lines in Chinese, English, code, emoji and whitespace (of this repository's documentation and source, and of
``--corpus``: .txt, .md, .py files), whose token ids must equal llama.cpp's. ``greedy``: prompts in the three kinds, whose first
tokens are compared with llama.cpp's server (the package xllamacpp) on the same file. Where two answers part, the gap tells
whether they had to: the difference of the two tokens' log-probabilities, in our engine and in llama.cpp. llama.cpp rounds
activations to 8 bits before it multiplies, our engine does not, so they part where two tokens are nearly equally likely. How
often they must is the ceiling, measured in the same run: transformers on the same weights in float32, where nothing is rounded,
against llama.cpp on the same prompts; an engine that multiplies as exactly cannot agree with llama.cpp more often than by luck.
``logits``: the file dequantised by transformers and the ``gguf`` package, in float32, against our engine, over the prompts and
pages of this repository's documentation in both languages: how far apart, how often another token is likeliest, and what a token
of the text costs in each (nats). ``--precision int8`` shows by it what our int8 loses. Needs about eight times the file's size in
memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine, load_engine
from zhilu.engine.options import EngineOptions
from zhilu.engine.processor import processor
from zhilu.engine.runner.base import StepChunk
from zhilu.engine.text.tokenizer import Tokenizer

REPOSITORY = Path(__file__).parents[1]
MAX_LEN = 1024

PROMPTS = (
    "What is 2+2? Answer with the number.",
    "What is the capital of Japan, and what is it known for?",
    "Explain in two sentences why the sky is blue.",
    "List three uses of vinegar in a household.",
    "Write a short poem about the sea.",
    "Translate to French: The library opens at nine in the morning.",
    "What is the difference between a virus and a bacterium?",
    "法国的首都是哪里？",
    "用一句话解释什么是光合作用。",
    "请列出三个保持健康的方法。",
    "把下面的句子翻译成英文：图书馆周日不开门。",
    "写一首关于秋天的短诗。",
    "为什么天空是蓝色的？请简单说明。",
    "中国有哪四大发明？",
    "Write a Python function that returns the n-th Fibonacci number.",
    "Write a SQL query that counts the orders of each customer in 2024.",
    "用 Python 写一个函数，判断一个字符串是否是回文。",
    "Write a JavaScript function that removes duplicates from an array.",
    "What does this do? `print([x * x for x in range(5) if x % 2])`",
    "Write a bash one-liner that lists the ten largest files under a folder.",
)

_ODD = (
    "😀😃😄 🇨🇳🇫🇷 👨‍👩‍👧‍👦 👍🏽", "⚡️✅❌ → ← ≤ ≥ ∑∫√", "e\u0301 vs é, ﬁ vs fi", "a\u200bb\u200dc\ufeff", "　全角　空格　",
    "\t\tindented\twith\ttabs", "   three   spaces   ", "\r\nwindows\r\nlines\r\n", "\n\n\nempty\n\n\n", " \n \n ",
    "don't won't I'll we've it's I'M YOU'RE", "1234567890 3.14159 1,000,000 ½ ² ③", "<|im_start|>user\nhi<|im_end|>",
    "<tool_call>{}</tool_call> <|endoftext|>", "русский текст العربية हिन्दी ไทย 한국어 日本語テキスト", "𝕏 𝒜 𐍈 🀄",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--corpus", type=Path, help="a folder of texts beside this repository's own")
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS), help="the first so many")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["auto", "full", "int8"], default="full", help="of our engine")
    parser.add_argument("--pages", type=int, default=8, help="of the documentation, for the logits, in each language")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    print(f"{processor().name}: {processor().sets}", flush=True)
    told: dict[str, Any] = {"file": args.file.name, "processor": processor().name, "sets": processor().sets}
    for part in args.parts:
        told[part] = PARTS[part](args)
        print(part, json.dumps(told[part], ensure_ascii=False, indent=1), flush=True)
    if args.json:
        args.json.write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")
    return 0


def compare_tokens(args: argparse.Namespace) -> dict[str, Any]:
    texts = lines_of(args.lines, args.corpus)
    ours = Tokenizer(args.file)
    with llama(args.file, args.threads, requests=1) as ask:
        other = [text for text in texts if ask("/tokenize", tokenize_body(text))["tokens"] != ours.encode(text, False)]
    return {"lines": len(texts), "equal": len(texts) - len(other), "others": other[:10]}


def compare_greedy(args: argparse.Namespace) -> dict[str, Any]:
    engine = _engine(args, kv_tokens=MAX_LEN * 24)
    prompts = [_prompt(engine, text) for text in PROMPTS[: args.prompts]]
    ours = answers(engine, prompts, args.tokens)
    exact = exact_answers(args, prompts, engine.eos_ids)
    theirs, apart = [], []
    with llama(args.file, args.threads, requests=1) as ask:
        for number, (prompt, answer) in enumerate(zip(prompts, ours, strict=True)):
            body = {"prompt": prompt, "n_predict": args.tokens, "temperature": 0, "return_tokens": True}
            other = [id for id in ask("/completion", body)["tokens"] if id not in engine.eos_ids]
            theirs.append(other)
            _say(f"{number + 1}: {'equal' if other == answer else 'apart'}")
            if other != answer:
                parting = _parting(engine, ask, prompt, answer, other)
                exactly = None if exact is None else exact[number] == answer
                apart.append({"prompt": PROMPTS[number], **parting, "ours_is_the_exact_answer": exactly})
    told: dict[str, Any] = {"prompts": len(prompts), "tokens": args.tokens, "equal": _num_equal(ours, theirs)}
    if exact is None:
        told["ceiling"] = "not measured: transformers and PyTorch are not installed"
    else:
        told |= {"ceiling": _num_equal(exact, theirs), "equal_to_the_exact_answer": _num_equal(ours, exact)}
    return told | {"apart": apart}


def compare_logits(args: argparse.Namespace) -> dict[str, Any]:
    import torch

    engine = _engine(args, kv_tokens=MAX_LEN)
    texts = [_prompt(engine, text) for text in PROMPTS[: args.prompts]] + _pages(engine, args.pages)
    ours = [_logits(engine, text) for text in texts]
    precision = engine.runner.describe()["precision"]
    del engine
    model = exact_model(args)
    positions = differs = 0
    largest = spread = divergence = 0.0
    costs = np.zeros(2)
    for text, found in zip(texts, ours, strict=True):
        with torch.inference_mode():
            exact = model(torch.tensor([text])).logits[0].numpy()
        positions += len(text)
        largest = max(largest, float(np.abs(found - exact).max()))
        spread = max(spread, float(exact.std()))
        differs += int((found.argmax(-1) != exact.argmax(-1)).sum())
        log_found, log_exact = _log_softmax(found), _log_softmax(exact)
        divergence += float((np.exp(log_exact) * (log_exact - log_found)).sum())
        nexts = np.array(text[1:])[:, None]
        costs -= [np.take_along_axis(logs[:-1], nexts, 1).sum(dtype=float) for logs in (log_found, log_exact)]
    guessed = positions - len(texts)
    return {
        "precision": precision,
        "positions": positions,
        "largest": largest,
        "spread": spread,
        "likeliest_differs": differs,
        "mean_divergence_nats": round(divergence / positions, 6),
        "nats_a_token": round(costs[0] / guessed, 5),
        "nats_a_token_exact": round(costs[1] / guessed, 5),
    }


def _log_softmax(logits: Any) -> Any:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _engine(args: argparse.Namespace, kv_tokens: int) -> Engine:
    return load_engine(
        EngineOptions(args.file, args.threads, max_len=MAX_LEN, kv_tokens=kv_tokens, precision=args.precision)
    )


def _pages(engine: Engine, count: int) -> list[list[int]]:
    """So many pages of 256 tokens of the documentation in each language."""
    pages = []
    for language in ("en", "zh"):
        text = (REPOSITORY / "docs" / language / "knowledge.md").read_text(encoding="utf-8")
        tokens = engine.tokenizer.encode(text, add_special_tokens=False)
        pages += [tokens[at : at + 256] for at in range(0, 256 * count, 256)]
    return [page for page in pages if len(page) > 1]


def exact_model(args: argparse.Namespace) -> Any:
    """transformers' model on the file's weights, each block dequantised to float32."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(args.threads)
    return AutoModelForCausalLM.from_pretrained(
        args.file.parent, gguf_file=args.file.name, dtype=torch.float32, local_files_only=True
    ).eval()


def exact_answers(args: argparse.Namespace, prompts: list[list[int]], ends: Collection[int]) -> list[list[int]] | None:
    """The greedy tokens of the exact model, without the token that ends an answer; None where PyTorch is not installed."""
    try:
        import torch

        model = exact_model(args)
    except ImportError:
        return None
    longest = max(map(len, prompts))
    read = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])  # (prompts, longest)
    seen, mask = None, torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    found: list[list[int]] = [[] for _ in prompts]
    going = set(range(len(prompts)))
    for number in range(args.tokens):
        with torch.inference_mode():
            out = model(
                read,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=seen,
                use_cache=True,
                logits_to_keep=1,
            )
        read, seen = out.logits[:, -1:].argmax(-1), out.past_key_values  # (prompts, 1)
        going -= {row for row in going if int(read[row]) in ends}
        for row in going:
            found[row].append(int(read[row]))
        if not going:
            break
        mask = torch.cat([mask, torch.ones_like(read)], -1)
        positions = positions[:, -1:] + 1
        _say(f"exact answers: token {number + 1} of {args.tokens}")
    return found


PARTS = {"tokens": compare_tokens, "greedy": compare_greedy, "logits": compare_logits}


def lines_of(count: int, corpus: Path | None = None) -> list[str]:
    """Texts to tokenize: equally many Chinese, English and code lines, then odd ones, alone and in the lines' midst."""
    kinds: dict[str, list[str]] = {"zh": [], "en": [], "code": []}
    roots = [(REPOSITORY / "docs" / "zh", "zh", "*.md"), (REPOSITORY / "docs" / "en", "en", "*.md")]
    roots += [(REPOSITORY / "src", "code", "*.py"), (REPOSITORY / "ui" / "src", "code", "*.tsx")]
    if corpus:
        roots = [(corpus, "zh", "*zh*"), (corpus, "en", "*en*"), *roots]
    for root, kind, pattern in roots:
        for path in sorted(root.rglob(pattern)):
            if path.is_file() and path.suffix in (".md", ".txt", ".py", ".tsx", ".jsonl"):
                kinds[kind] += [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    share = (count - len(_ODD)) * 3 // 10
    taken = [line for lines in kinds.values() for line in lines[:: max(1, len(lines) // share)][:share]]
    mixed = [f"{odd}{line}{odd}" for line, odd in zip(taken[::3], _ODD * len(taken), strict=False)]
    return (taken + list(_ODD) + mixed)[:count]


def tokenize_body(text: str) -> dict[str, Any]:
    """Special tokens written out in a text are recognised, as our tokenizer does; none is added."""
    return {"content": text, "add_special": False, "parse_special": True}


def answers(engine: Engine, prompts: list[list[int]], num_tokens: int) -> list[list[int]]:
    """The greedy tokens of each prompt, without the token that ends an answer."""
    for number, prompt in enumerate(prompts):
        engine.add(str(number), prompt, SamplingParams(num_tokens, temperature=0))
    found: list[list[int]] = [[] for _ in prompts]
    while engine.requests:
        for output in engine.step():
            if output.token and output.token.id not in engine.eos_ids:
                found[int(output.request_id)].append(output.token.id)
    return found


@contextmanager
def llama(file: Path, threads: int, requests: int) -> Iterator[Any]:
    """llama.cpp's server on the file: a function from a path and a body to the answer."""
    from serve.peers import Job, serving, xllamacpp

    with TemporaryDirectory() as folder, ExitStack() as stack:
        job = Job(file, {}, Path(folder), threads, MAX_LEN, requests, None)
        port, *_ = stack.enter_context(serving(xllamacpp("llama.cpp"), job, False, 600))

        def ask(path: str, body: dict[str, Any]) -> Any:
            data = json.dumps(body).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=600) as reply:
                return json.load(reply)

        yield ask


def _num_equal(some: list[list[int]], others: list[list[int]]) -> int:
    return sum(one == other for one, other in zip(some, others, strict=True))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _prompt(engine: Engine, text: str) -> list[int]:
    rendered = engine.tokenizer.render_chat([{"role": "user", "content": text}])
    return engine.tokenizer.encode(rendered, add_special_tokens=False)


def _logits(engine: Engine, tokens: list[int]) -> Any:
    """(len(tokens), vocab_size), by the runner itself: nothing else may be running in the engine."""
    table = list(range(-(-len(tokens) // engine.runner.block_size)))
    return engine.runner.run([StepChunk(tokens, 0, table, num_logits=len(tokens))]).copy()


def _parting(engine: Engine, ask: Any, prompt: list[int], ours: list[int], theirs: list[int]) -> dict[str, Any]:
    """Where two answers part, and by how much each engine prefers its own token there (natural logarithms)."""
    pairs = zip(ours, theirs, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
    end = min(engine.eos_ids)
    one, other = (ids[at] if at < len(ids) else end for ids in (ours, theirs))
    before = prompt + ours[:at]
    last = _logits(engine, before)[-1]
    body = {"prompt": before, "n_predict": 1, "temperature": 0, "n_probs": 20}
    likely = ask("/completion", body)["completion_probabilities"][0]["top_logprobs"]
    told = {entry["id"]: entry["logprob"] for entry in likely}
    theirs_gap = told[other] - told[one] if one in told and other in told else None
    return {
        "at": at,
        "tokens": [engine.tokenizer.decode([id], skip_special_tokens=False) for id in (one, other)],
        "gap_ours": round(float(last[one] - last[other]), 4),
        "gap_llamacpp": None if theirs_gap is None else round(theirs_gap, 4),
    }


if __name__ == "__main__":
    sys.exit(main())
