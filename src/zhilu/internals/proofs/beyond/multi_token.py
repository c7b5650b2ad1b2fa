"""6.7.3: what the extra block is asked, token by token; that it does not look ahead; and what its guesses are worth as a draft."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from zhilu.internals.proofs.optimizers import batches, small_model
from zhilu.internals.proofs.text import source_bytes
from zhilu.internals.result import Chart, Check, Result, Say, Series, Table, at_least, at_most, same, worst
from zhilu.messages import T
from zhilu.training.model import Nano

__all__ = ["prove"]

_STEPS, _COUNT, _TEXTS = 260, 48, 4


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``beyond.multi_token`` has."""
    say(0.0, T("token by token", "逐个 token 对照"))
    checks = _plain(part)
    model, ahead = small_model(), None
    torch.manual_seed(9)
    ahead = part.Ahead(model)
    optimizer = torch.optim.AdamW([*model.parameters(), *ahead.parameters()], lr=3e-3, betas=(0.9, 0.95))
    first, second = list[float](), list[float]()
    for step, batch in enumerate(batches(_STEPS)):
        if step % 20 == 0:
            say(0.05 + 0.75 * step / _STEPS, T(f"training, step {step}", f"训练，第 {step} 步"))
        whole, of_next, of_second = part.loss(model, ahead, batch)
        optimizer.zero_grad(set_to_none=True)
        whole.backward()
        optimizer.step()
        first.append(of_next.item())
        second.append(of_second.item())
    say(0.85, T("writing, two tokens a pass", "每遍写两个 token"))
    text, rows = source_bytes(), []
    equal, passes, right, written = True, 0, 0, 0
    for number in range(_TEXTS):
        prompt = list(text[5000 * number : 5000 * number + 40])
        mine, took, hits = part.draft_and_verify(model, ahead, prompt, _COUNT)
        equal = equal and mine == _greedy(model, prompt, _COUNT)
        passes, right, written = passes + took, right + hits, written + len(mine)
        rows.append([repr(bytes(mine[:24]).decode(errors="replace")), str(took), f"{hits / max(1, took - 1):.0%}"])
    share = right / max(1, passes - _TEXTS)
    checks += [
        same(T("tokens = the model's alone", "token = 模型自己写的"), equal, True),
        at_least(T("tokens a pass", "每遍 token 数"), written / passes, 1.25),
        at_most(
            T("loss of the token after the next, at the end", "再下一个 token 的损失（最后）"),
            sum(second[-20:]) / 20,
            sum(second[:20]) / 20 - 1,
        ),
    ]
    steps = list(range(1, _STEPS + 1, 4))
    return Result(
        task="6.7.3",
        answer=0 if share < 0.25 else 1 if share < 0.95 else 2,
        checks=checks,
        charts=[
            Chart(
                title=T("Two questions on the same text", "同一段文字的两个问题"),
                x=T("step", "步"),
                y=T("loss", "损失"),
                series=[
                    Series(name=T("the next token", "下一个 token"), xs=steps, ys=first[::4]),
                    Series(name=T("the one after, told the next", "再下一个（已知下一个）"), xs=steps, ys=second[::4]),
                ],
            )
        ],
        tables=[
            Table(
                title=T(
                    f"{_COUNT} tokens each: passes, and second guesses that were right",
                    f"每段 {_COUNT} 个 token：遍数，以及猜对的第二个",
                ),
                columns=[T("what it wrote, the beginning", "写出的开头"), T("passes", "遍数"), T("right", "猜对")],
                rows=[[T.of(cell) for cell in row] for row in rows],
            )
        ],
    )


def _plain(part: Any) -> list[Check]:
    """The losses from prefixes alone, and whether a later token changes an earlier answer."""
    model = small_model()
    torch.manual_seed(3)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    ahead = part.Ahead(model)
    for weight in ahead.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    ids = torch.randint(256, (1, 12))
    with torch.no_grad():
        _, of_next, of_second = part.loss(model, ahead, ids)
        next_losses, second_losses = [], []
        for end in range(1, 12):
            hidden = _hidden(model, ids[:, :end])
            logits = model.logits(model.model.norm(hidden))[0, -1]
            next_losses.append(float(F.cross_entropy(logits, ids[0, end])))
            if end + 1 < 12:
                told = model.model.embed_tokens(ids[:, 1 : end + 1])
                joined = torch.cat([ahead.of_hidden(hidden), ahead.of_next(told)], -1) @ ahead.join.weight.T
                out = ahead.block(joined, model.model.cos[:end], model.model.sin[:end])
                said = model.logits(ahead.norm(out))[0, -1]
                second_losses.append(float(F.cross_entropy(said, ids[0, end + 1])))
        other = ids.clone()
        other[0, 8] = (other[0, 8] + 1) % 256
        before, after = (ahead(model, part.hidden_states(model, one[:, :-2]), one[:, 1:-1]) for one in (ids, other))
        leak = float((before - after)[0, :7].abs().max())
        moved = float((before - after)[0, 7].abs().max())
    off = worst(
        abs(float(mine) - sum(wanted) / len(wanted))
        for mine, wanted in ((of_next, next_losses), (of_second, second_losses))
    )
    return [
        at_most(T("both losses against one prefix at a time", "两个损失与逐个前缀计算之差"), off, 1e-4),
        at_most(T("a token changes what was said before it is told", "一个 token 改变了告诉它之前的答案"), leak, 1e-6),
        at_least(T("and what is said once it is told", "以及告诉它之后的答案"), moved, 1e-3),
    ]


def _hidden(model: Nano, ids: torch.Tensor) -> torch.Tensor:
    """The library-free way: the decoder's own forward with its last norm taken out."""
    norm, model.model.norm = model.model.norm, torch.nn.Identity()  # type: ignore[assignment]
    try:
        return model.model(ids)
    finally:
        model.model.norm = norm


@torch.inference_mode()
def _greedy(model: Nano, prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]
