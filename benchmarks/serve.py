"""Our engine beside llama.cpp, vLLM's CPU build and OpenVINO GenAI: same weights, same machine, one run, over HTTP.

    python benchmarks/serve.py --threads 2 --json serve.json
    python benchmarks/serve.py --llama-server FILE --vllm-python FILE --genai-python FILE --rounds 3
    python benchmarks/serve.py --model FILE.gguf     # a real model: our engine reads the file itself, as llama.cpp's wheel does
    python benchmarks/serve.py --tiny                # does it run at all? a toy model, few tokens

By default a random Qwen3 of 26 million parameters (``--model DIR`` for another, or a GGUF file, of which there are no other
formats and no adapters). The processor and its instruction sets are printed, since the leads depend on them. Workloads:
``prefill`` (one prompt of 1,024 tokens, with ``--model`` 1,100; tokens of it a second), ``single`` (one stream, without its
prompt), ``8`` and ``32`` or what ``--streams`` says (all tokens over the wall time), ``lora`` (8 requests over 4 adapters in one
batch), and for our engine ``copy``: zhilu-nano quotes from passages with and without guessing (``--speculate``), the answers
being equal. All prompts are token ids, greedy, and never repeat within an engine's prefix cache. Each engine is a process of its
own. All of them are up, and take turns workload by workload, one working while the others wait: the machine's speed changes
within minutes, and this way for all alike. The best of ``--rounds`` counts. GenAI has no server: it runs without HTTP, which is to
its advantage. A peer that is not there is skipped with the reason. ``mb`` is resident memory when ready, ``mb_after`` at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from serve import formats
from serve.load import Figures, run_batch
from serve.peers import PEERS, Job, megabytes, ours, serving

from zhilu.engine.model.config import read_config
from zhilu.engine.processor import processor

Row = dict[str, float | str]
Running = Callable[[str], float]  # one round of a workload -> tokens a second
OF_A_FILE = ["ours blocks", "ours int8", "llama.cpp wheel"]
OF_A_FOLDER = [*(name for name in PEERS if name not in ("ours blocks", "llama.cpp wheel")), "genai", "copy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder (default: a random Qwen3)")
    parser.add_argument("--peers", nargs="+", choices=[*PEERS, "genai", "copy"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--streams", type=int, nargs="+", default=[8, 32], help="requests at a time, beside one")
    parser.add_argument("--tokens", type=int, default=128, help="new tokens of each request")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rank", type=int, default=8, help="of the four adapters, on every projection")
    parser.add_argument("--llama-server", help="llama.cpp's llama-server (default: on the PATH)")
    parser.add_argument("--vllm-python", help="a Python that has vLLM's CPU build")
    parser.add_argument("--genai-python", help="a Python that has openvino-genai and optimum-intel")
    parser.add_argument("--genai-formats", nargs="+", default=["fp16", "int8"], help="as optimum-intel names them")
    parser.add_argument("--start-seconds", type=float, default=300, help="patience with an engine that starts")
    parser.add_argument("--tiny", action="store_true", help="a toy model, 8 tokens, one round")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    args = parser.parse_args()
    if args.tiny:
        args.tokens, args.rounds = 8, 1
    print(f"{processor().name}: {processor().sets}; {args.threads} threads", flush=True)

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shape = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128} if args.tiny else {}
        model = args.model or formats.make_model(folder / "model", **shape)
        is_file = model.suffix.lower() == ".gguf"
        args.peers = args.peers or (OF_A_FILE if is_file else OF_A_FOLDER)
        adapters = {} if is_file else formats.make_adapters(folder, model, 4, args.rank)
        job = Job(model, adapters, folder, args.threads, max_len=1536, concurrency=max(args.streams), arguments=args)
        work = _workloads(args, read_config(model).vocab_size)
        rows = {name: Row() for name in args.peers if name in PEERS}
        if "genai" in args.peers:
            rows |= {f"genai {kind}": Row() for kind in args.genai_formats}
        _measure(rows, job, work)
        copy = _measure_copying(job) if "copy" in args.peers else {}
    print(_table(rows))
    ratios = _ratios(rows)
    for line in (*(f"{name}: {value:.2f}" for name, value in ratios.items()), f"copy: {copy}"):
        print(line)
    if args.json:
        told = {"rows": rows, "ratios": ratios, "copy": copy, "threads": args.threads}
        told |= {"processor": processor().name, "sets": processor().sets}
        args.json.write_text(json.dumps(told, indent=1))


def _workloads(args: argparse.Namespace, vocab_size: int) -> dict[str, dict[str, Any]]:
    """Prompts as token ids, and how many tokens to generate. The last of the vocabulary may be special, the first bytes."""
    rng = np.random.default_rng(0)

    def prompts(count: int, length: int) -> list[list[int]]:
        return rng.integers(300, vocab_size - 300, (count, length)).tolist()

    return {
        "prefill": {"prompts": prompts(1, 1100 if args.model else 1024), "num_tokens": 1},
        "single": {"prompts": prompts(1, 64), "num_tokens": args.tokens},
        **{str(n): {"prompts": prompts(n, 64), "num_tokens": args.tokens} for n in args.streams},
    }


def _bodies(work: Mapping[str, Any], extra: Mapping[str, Any]) -> list[dict[str, Any]]:
    fixed = {"max_tokens": work["num_tokens"], "temperature": 0, "ignore_eos": True, "model": "m", **extra}
    return [{"prompt": prompt, **fixed} for prompt in work["prompts"]]


def _measure(rows: Mapping[str, Row], job: Job, work: Mapping[str, Any]) -> None:
    """Add to ``rows`` what the engines do, taking turns; one that fails keeps its reason, and the others their figures."""
    with ExitStack() as stack:
        running: dict[tuple[str, bool], Running] = {}  # with adapters it is a process of its own
        for name, row in rows.items():
            if reason := _missing(name, job):
                row["skipped"] = reason
                continue
            # GenAI's continuous batching has no adapters by request.
            for with_adapters in (False, True) if name in PEERS and job.adapters else (False,):
                with _noting_failure(name, row):
                    running[name, with_adapters] = stack.enter_context(_start(name, row, job, work, with_adapters))
        for number in range(job.arguments.rounds):
            for column in (*work, "lora"):
                for name, row in rows.items():
                    if run := running.get((name, column == "lora")):
                        with _noting_failure(name, row):
                            row[column] = max(round(run(column), 1), float(row.get(column, 0.0)))
            print(f"round {number + 1} of {job.arguments.rounds} done", file=sys.stderr, flush=True)


def _missing(name: str, job: Job) -> str | None:
    if name in PEERS:
        return PEERS[name].missing(job)
    if not job.arguments.genai_python:
        return "no Python with openvino-genai was given (--genai-python FILE)"
    return None


@contextmanager
def _noting_failure(name: str, row: Row) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        text = getattr(error, "stderr", None) or f"{type(error).__name__}: {error}"
        row["failed"] = " ".join(str(text).split())[-600:]
        print(f"{name} failed: {row['failed']}", file=sys.stderr, flush=True)


@contextmanager
def _start(name: str, row: Row, job: Job, work: Mapping[str, Any], with_adapters: bool) -> Iterator[Running]:
    """The engine, started and warm: a function from a workload to its tokens a second."""
    if name not in PEERS:
        with _genai(name.partition(" ")[2], row, job, work) as run:
            yield run
        return
    peer = PEERS[name]
    with serving(peer, job, with_adapters, job.arguments.start_seconds) as (port, seconds, process):
        if not with_adapters:
            row["start_s"], row["mb"] = round(seconds, 2), megabytes(process)

        def bodies(column: str) -> list[dict[str, Any]]:
            if column != "lora":
                return _bodies(work[column], {"seed": 1, **peer.body})
            some, names = _bodies(work[str(job.arguments.streams[0])], {}), list(job.adapters)
            return [b | peer.name_adapter(names[i % 4], i % 4) for i, b in enumerate(some)]

        def run(column: str) -> float:
            figures = run_batch(port, bodies(column))
            if not with_adapters:
                row["mb_after"] = megabytes(process)
            return _figure(column, work, figures)

        # First products are slow everywhere.
        run_batch(port, [{**b, "max_tokens": 4} for b in bodies("lora" if with_adapters else "single")])
        yield run


def _figure(name: str, work: Mapping[str, Any], run: Figures) -> float:
    if name == "prefill":
        return len(work[name]["prompts"][0]) / run.answers[0].first
    return run.decode_per_s if name == "single" else run.tokens_per_s


@contextmanager
def _genai(kind: str, row: Row, job: Job, work: Mapping[str, Any]) -> Iterator[Running]:
    args = job.arguments
    ir = job.folder / f"ir-{kind}"
    export = [args.genai_python, "-m", "optimum.commands.optimum_cli", "export", "openvino", "--model", str(job.model)]
    export += ["--task", "text-generation-with-past", "--weight-format", kind, str(ir)]
    subprocess.run(export, check=True, capture_output=True, text=True, timeout=1200)
    task = {"model": str(ir), "work": work, "threads": args.threads, "concurrency": 32}
    script = Path(__file__).parent / "serve" / "genai.py"
    process = subprocess.Popen(
        [args.genai_python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None

    def ask(line: str) -> dict[str, float]:
        print(line, file=process.stdin, flush=True)
        for said in process.stdout or ():
            if said.startswith("{"):
                return dict(json.loads(said))
        raise RuntimeError(f"GenAI ended with {process.wait()}")

    def run(column: str) -> float:
        told, item = ask(column), work[column]
        count = item["num_tokens"] * len(item["prompts"])
        if column == "prefill":
            return float(len(item["prompts"][0]) / told["wall"])
        return float((count - 1) / (told["wall"] - told["first"]) if column == "single" else count / told["wall"])

    try:
        row["start_s"] = round(ask(json.dumps(task))["start"], 2)
        run("8")  # first products are slow everywhere
        yield run
    finally:
        process.kill()
        process.wait()


def _measure_copying(job: Job) -> dict[str, Any]:
    """zhilu-nano quotes from its passages, with and without guessing: tokens a second of one stream, and the answers."""
    from zhilu.engine.text.tokenizer import Tokenizer
    from zhilu.prompts import Passage, grounded_messages

    tokenizer = Tokenizer(formats.NANO)
    passages = list(_PASSAGES.items())
    bodies = []
    for title, text in passages:
        messages = grounded_messages(f"What is written about {title}?", [Passage(title=t, text=x) for t, x in passages])
        prompt = tokenizer.encode(tokenizer.render_chat(list(messages), None, True), add_special_tokens=False)
        prompt += tokenizer.encode(text[: len(text) // 4], add_special_tokens=False)  # the quotation has begun
        bodies.append({"prompt": prompt, "max_tokens": 96, "temperature": 0, "model": "m"})
    nano = Job(formats.NANO, {}, job.folder, job.threads, 2048, 1, job.arguments)
    found: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    for name, guesses in (("plain", "0"), ("guessing", "8")):
        with serving(ours(f"copy {name}", "--speculate", guesses), nano, False, job.arguments.start_seconds) as (
            port,
            *_,
        ):
            rounds = [[run_batch(port, [body]) for body in bodies] for _ in range(job.arguments.rounds + 1)][1:]
            found[name] = round(max(_mean_decode(answers) for answers in rounds), 1)
            texts[name] = [figures.answers[0].text for figures in rounds[0]]
    found["ratio"] = round(found["guessing"] / found["plain"], 2)
    found["same_text"] = texts["plain"] == texts["guessing"]
    return found


def _mean_decode(answers: list[Figures]) -> float:
    """Tokens after the first over the time after the first, of all answers together."""
    times = [figures.answers[0] for figures in answers]
    return sum(a.num_tokens - 1 for a in times) / sum(a.last - a.first for a in times)


_PASSAGES = {
    "the library": "The library on Mill Street opens at nine in the morning and closes at eight in the evening, except on "
    "Sundays, when it opens at noon. Members may borrow up to twelve books for four weeks and renew them twice by telephone.",
    "the bridge": "The old bridge over the river was built of grey granite between 1834 and 1839 and carried the only road to "
    "the northern villages until the railway came. Its five arches are each eighteen metres wide and stand on oak piles.",
    "the garden": "The botanical garden keeps about four thousand kinds of plants from every continent. In the glass houses "
    "orchids, coffee and cocoa grow all year round; the rose beds in front of them are at their best in the second half of June.",
}


def _table(rows: Mapping[str, Row]) -> str:
    seen = {column for row in rows.values() for column in row if column not in ("skipped", "failed")}
    last = ("lora", "start_s", "mb", "mb_after")
    first = [column for column in ("prefill", "single") if column in seen]
    streams = sorted((column for column in seen if column.isdecimal()), key=int)
    columns = [*first, *streams, *(column for column in last if column in seen)]
    lines = [" | ".join(["engine", *columns]), " | ".join(["---"] * (len(columns) + 1))]
    for name, row in rows.items():
        note = row.get("skipped") or row.get("failed")
        cells = [str(row.get(column, "")) for column in columns]
        lines.append(" | ".join([name, *cells]) + (f"   ({str(note)[:100]})" if note else ""))
    return "\n".join(f"| {line} |" for line in lines)


def _ratios(rows: Mapping[str, Row]) -> dict[str, float]:
    """Our best against the best of each other kind, by workload; and what the adapters leave of our speed."""

    def best(kind: str, column: str) -> float:
        figures = [row.get(column) for name, row in rows.items() if name.startswith(kind)]
        return max((f for f in figures if isinstance(f, float)), default=0.0)

    found = {}
    for kind in ("llama.cpp", "vllm", "genai"):
        for column in (
            "prefill",
            "single",
            *sorted({c for row in rows.values() for c in row if c.isdecimal()}, key=int),
            "lora",
        ):
            if best("ours", column) and best(kind, column):
                found[f"ours / {kind}, {column}"] = round(best("ours", column) / best(kind, column), 3)
    for name, row in rows.items():
        if isinstance(row.get("lora"), float) and isinstance(row.get("8"), float):
            found[f"{name}, with adapters / without"] = round(float(row["lora"]) / float(row["8"]), 3)
    return found


if __name__ == "__main__":
    sys.exit(main())
