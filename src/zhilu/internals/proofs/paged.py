"""6.5: attention over scattered blocks is exact; and the real engine at work: tables, sharing, preemption, waste, a timeline."""

from __future__ import annotations

from typing import Any

import numpy as np

from zhilu.engine.blocks import BlockPool
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine, load_engine
from zhilu.engine.observe import attention_weights
from zhilu.engine.options import EngineOptions
from zhilu.engine.sequence import Status
from zhilu.internals.proofs.flash_attention import gap, openvino_attention, real_qkv
from zhilu.internals.proofs.text import nano_ids
from zhilu.internals.result import (
    Bar,
    Chart,
    Check,
    Grid,
    Result,
    Say,
    Series,
    Table,
    Timeline,
    at_least,
    at_most,
    same,
)
from zhilu.messages import T
from zhilu.models.shipped import NANO

__all__ = ["prove"]

_LENGTH, _REQUESTS, _LONGEST = 150, 8, 256
_KINDS = [
    T("reads its prompt", "读提示词"),
    T("writes a token", "写一个 token"),
    T("waits for memory", "等内存"),
    T("blocks taken away", "块被收回"),
]
_BLOCKS = [T("its own", "独占"), T("shared by several", "多个请求共享"), T("free, content kept", "空闲，内容还在")]
_MAP = (
    ("engine/engine.py", "vllm/v1/engine/core.py", T("one step of everything", "一步做完所有事")),
    ("engine/scheduler.py", "vllm/v1/core/sched/scheduler.py", T("who computes next", "接下来算谁")),
    ("engine/blocks.py", "vllm/v1/core/block_pool.py", T("blocks, sharing, eviction", "块、共享、淘汰")),
    ("engine/sequence.py", "vllm/v1/request.py", T("one request", "一个请求")),
    ("engine/runner/torch.py", "vllm/v1/worker/gpu_model_runner.py", T("the arithmetic", "做算术")),
    ("engine/choose/sampler.py", "vllm/v1/sample/sampler.py", T("choosing the token", "选出 token")),
    ("engine/choose/guided.py", "vllm/v1/structured_output/", T("grammars", "语法约束")),
    ("engine/choose/speculate.py", "vllm/v1/spec_decode/ngram_proposer.py", T("guessing ahead", "提前猜测")),
)


def prove(part: Any, say: Say) -> Result:
    """``part`` is ``lesson5_paged`` or has what it has."""
    say(0.0, T("attention over scattered blocks", "在分散的块上做注意力"))
    checks = _exact(part)
    say(0.3, T("eight requests alone", "八个请求各自单独运行"))
    prompts = _prompts()
    roomy = _engine(4096)
    alone = [_run(roomy, [prompt]).tokens[0] for prompt in prompts]
    say(0.6, T("eight requests together, in little memory", "八个请求一起运行，内存很少"))
    seen = _run(_engine(512), prompts)
    lengths = [len(prompt) + 24 for prompt in prompts]
    block, capacity = seen.block_size, seen.num_blocks * seen.block_size
    contiguous, paged = part.fits_contiguous(capacity, _LONGEST), part.fits_paged(capacity, lengths, block)
    checks += [
        same(T("tokens together = tokens alone", "一起运行的 token = 单独运行的"), seen.tokens == alone, True),
        at_least(T("sequences that had to give their blocks back", "被收回块的序列数"), seen.preemptions, 1),
        at_least(T("prompt tokens found in shared blocks", "在共享块里找到的提示 token"), seen.cached, block),
        at_least(T("most requests that shared one block", "共享同一块的最多请求数"), seen.shared, 2),
        same(T("waste of the engine's tables = computed", "引擎块表的浪费 = 计算值"), round(part.waste(seen.held, block), 6), round(seen.waste, 6)),
        at_least(T("requests in memory at once, paged over contiguous", "同时放得下的请求数，分页比连续"), paged / max(1, contiguous), 1.5),
        at_least(T("requests that really ran at once", "实际同时运行的请求数"), seen.most, contiguous + 1),
    ]  # fmt: skip
    taken, steps = seen.taken, list(range(len(seen.taken)))
    return Result(
        task="6.5",
        answer=2 if seen.tokens == alone else 0,
        checks=checks,
        charts=[
            Chart(
                title=T("Memory, step by step", "内存，逐步"),
                x=T("step", "步"),
                y=T("tokens", "token 数"),
                series=[
                    Series(name=T("places in blocks taken", "已占用的块"), xs=steps, ys=taken),
                    Series(name=T("tokens of all requests", "各请求的 token 之和"), xs=steps, ys=seen.filled),
                    Series(name=T("contiguous rows would take", "连续分配要占"), xs=steps, ys=[n * _LONGEST for n in seen.running]),
                ],
            )
        ],
        timelines=[
            Timeline(
                title=T("What the scheduler did in each step", "调度器每一步做了什么"),
                unit=T("step", "步"),
                lanes=[f"#{number}" for number in range(_REQUESTS)],
                kinds=_KINDS,
                bars=seen.bars,
            )
        ],
        grids=[
            Grid(
                title=T("The engine's block table at its fullest", "块表最满的时刻"),
                rows=T("request", "请求"),
                columns=T("block", "块"),
                cells=seen.cells,
                kinds=_BLOCKS,
            )
        ],
        tables=[_files()],
    )  # fmt: skip


class _Seen:
    """What was seen while the engine ran."""

    def __init__(self, engine: Engine) -> None:
        pool = engine.scheduler.pool
        self.block_size, self.num_blocks = pool.block_size, pool.num_blocks
        self.tokens: list[list[int]] = []
        self.bars: list[Bar] = []
        self.taken, self.filled, self.running = list[float](), list[float](), list[int]()
        self.cells: list[list[float | None]] = []
        self.held: list[int] = []
        self.waste = 0.0
        self.preemptions = self.cached = self.shared = self.most = 0

    def note(self, engine: Engine, step: int, work: list[Any], lanes: dict[str, int], taken_away: set[str]) -> None:
        """After a step: who worked, who waited, and the tables."""
        pool, scheduler = engine.scheduler.pool, engine.scheduler
        for item in work:
            sequence, lane = item.sequence, lanes[item.sequence.request.id]
            kind, label = (0, str(item.num_tokens)) if item.num_prompt_tokens else (1, "")
            self.bars.append(Bar(lane=lane, start=step, end=step + 1, kind=kind, label=label))
            self.cached = max(self.cached, sequence.num_cached)
        for sequence in scheduler.waiting:
            kind = 3 if sequence.request.id in taken_away else 2
            self.bars.append(Bar(lane=lanes[sequence.request.id], start=step, end=step + 1, kind=kind))
        tables = {sequence.request.id: list(sequence.table) for sequence in scheduler.running}
        held = [sequence.num_computed for sequence in scheduler.running]
        used = sum(len(table) for table in tables.values()) * self.block_size
        self.taken.append(float(len({b for table in tables.values() for b in table}) * self.block_size))
        self.filled.append(float(sum(held)))
        self.running.append(len(tables))
        self.most = max(self.most, len(tables))
        self.shared = max([self.shared, *(pool.references(b) for table in tables.values() for b in table)])
        if tables and self.taken[-1] >= max(self.taken):
            self.held, self.waste = held, 1 - sum(held) / used
            self.cells = [[None] * self.num_blocks for _ in lanes]
            for id, table in tables.items():
                for number in table:
                    self.cells[lanes[id]][number] = 1.0 if pool.references(number) > 1 else 0.0


def _run(engine: Engine, prompts: list[list[int]]) -> _Seen:
    """All requests through the real engine, one ``step()`` after the other, watched from outside."""
    seen, lanes = _Seen(engine), {str(number): number for number in range(len(prompts))}
    scheduler, before = engine.scheduler, engine.scheduler.num_preemptions
    last: list[Any] = []
    plan = scheduler.schedule

    def schedule() -> list[Any]:
        last[:] = plan()
        return last

    scheduler.schedule = schedule  # type: ignore[method-assign]
    params = SamplingParams(max_tokens=24, temperature=0, ignore_eos=True)
    requests = [engine.add(id, prompt, params) for id, prompt in zip(lanes, prompts, strict=True)]
    step, taken_away = 0, set[str]()
    while not all(request.is_finished for request in requests) and step < 2000:
        running = {sequence.request.id for sequence in scheduler.running}
        engine.step()
        taken_away |= {s.request.id for s in scheduler.waiting if s.request.id in running}
        taken_away -= {s.request.id for s in scheduler.running}
        seen.note(engine, step, list(last), lanes, taken_away)
        step += 1
    scheduler.schedule = plan  # type: ignore[method-assign]
    assert all(sequence.status is Status.FINISHED for request in requests for sequence in request.sequences)
    seen.tokens = [
        request.sequences[0].token_ids[len(prompt) :] for request, prompt in zip(requests, prompts, strict=True)
    ]
    seen.preemptions = scheduler.num_preemptions - before
    return seen


def _engine(kv_tokens: int) -> Engine:
    return load_engine(
        EngineOptions(
            NANO,
            max_len=_LONGEST,
            max_num_seqs=_REQUESTS,
            kv_tokens=kv_tokens,
            max_batch_tokens=96,
            precision="full",
            dtype="float32",
            runner="openvino",
        )
    )


def _prompts() -> list[list[int]]:
    """Half of the requests begin with the same tokens, as those behind one system prompt do; the others are their own."""
    ids = nano_ids(1200)
    common = ids[:64]
    return [
        common + ids[100 + 40 * number : 100 + 40 * number + 12 + 5 * number]
        if number % 2 == 0
        else ids[500 + 60 * number : 500 + 60 * number + 30 + 8 * number]
        for number in range(_REQUESTS)
    ]


def _exact(part: Any) -> list[Check]:
    """Real keys and values, in blocks in the worst order, half of them behind others' blocks."""
    rng = np.random.default_rng(0)
    worst = library = 0.0
    for q, k, v in real_qkv(_LENGTH):
        pool = BlockPool(24, 16, prefix_caching=False)
        for held in _scattered(pool, rng):  # as after many requests have come and gone
            pool.release(held)
        memory, table = part.PagedMemory(pool, len(q), q.shape[-1]), list[int]()
        keys, values = k.transpose(1, 0, 2), v.transpose(1, 0, 2)
        memory.write(table, 0, keys[:70], values[:70])
        for place in range(70, _LENGTH):
            memory.write(table, place, keys[place : place + 1], values[place : place + 1])
        mine = part.attend(q[:, -1], memory, table, _LENGTH)
        right = (attention_weights(q.transpose(1, 0, 2), k.transpose(1, 0, 2)) @ v)[:, -1]
        worst = max(worst, gap(mine, right))
        library = max(library, gap(mine, openvino_attention(q, k, v)[:, -1]))
    return [
        at_most(T("attention over scattered blocks against exact", "分散块上的注意力与精确值之差"), worst, 1e-5),
        at_most(T("the same against OpenVINO's attention", "同上，与 OpenVINO 的注意力之差"), library, 1e-5),
    ]


def _scattered(pool: BlockPool, rng: np.random.Generator) -> list[list[int]]:
    """All blocks, each taken by somebody, in random order."""
    tables = [list[int]() for _ in range(pool.num_blocks)]
    for table in tables:
        pool.grow(table, 1)
    return [tables[number] for number in rng.permutation(pool.num_blocks)]


def _files() -> Table:
    return Table(
        title=T("From our files to vLLM's", "从我们的文件到 vLLM 的文件"),
        columns=[T("here", "这里"), T("in vLLM", "vLLM"), T("what it does", "做什么")],
        rows=[[T.of(ours), T.of(theirs), what] for ours, theirs, what in _MAP],
    )
