"""Each proof fails when its subject is broken: one small mistake in the lesson's code at a time."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.internals.test_lessons import prove

from zhilu.internals.catalog import find_lesson


class Mistake(NamedTuple):
    task: str
    name: str
    right: str
    wrong: str


MISTAKES = (
    Mistake("6.1", "the mask is off by one", "places[:, None] >= places[None, :]", "places[:, None] > places[None, :]"),
    Mistake("6.1", "documents see each other", "(segments[:, :, None] == segments[:, None, :]) &", "(segments[:, :, None] >= 0) &"),
    Mistake("6.1", "means of micro-batches are averaged", ", settings.z) / learned", ", settings.z) / counted.sum()"),
    Mistake("6.1", "the gradient is not cut", "grad.mul_(longest / (length + 1e-6))", "pass"),
    Mistake("6.1", "no warm-up", "up = min(1.0, (step + 1) / settings.warmup)", "up = 1.0"),
    Mistake("6.4", "the all-reduce is missing", "mean = ring.all_reduce(flat) / ring.size", "mean = flat"),
    Mistake("6.4", "no sum out of the parallel part", "return ring.all_reduce(x)", "return x"),
    Mistake("6.4", "no sum into the parallel part", "return ctx.ring.all_reduce(grad), None", "return grad, None"),
    Mistake("6.4", "a piece is not weighted", "F.mse_loss(out, targets[number]) / pieces", "F.mse_loss(out, targets[number])"),
    Mistake("6.4.2", "moments are not corrected", "self.mean / (1 - beta**self.step)", "self.mean"),
    Mistake("6.4.2", "a gradient is kept whole", "layer.zero_grad()  # what belongs", "pass  # what belongs"),
    Mistake("6.4.2", "the sum is missing", "ring.reduce_scatter(_grads(layer)) / ring.size", "_grads(layer).chunk(ring.size)[ring.rank]"),
    Mistake("6.4.3", "a stretch is masked by its own places", "columns = torch.arange(n) + owner * n", "columns = torch.arange(n) + ring.rank * n"),
    Mistake("6.4.3", "gradients do not come back", "return ctx.ring._pass_on(grad, -1), None", "return grad, None"),
    Mistake("6.4.3", "tokens come back to the wrong place", "index_copy(0, torch.cat(order)", "index_copy(0, torch.arange(len(x))"),
    Mistake("6.4.3", "rows do not average", "rows.all_reduce(_grad(part)) / rows.size for", "_grad(part) for"),
    Mistake("6.5", "the token's place in its block is off by one", "self.keys[block, place % size]", "self.keys[block, (place + 1) % size]"),
    Mistake("6.5", "the rest of the last block is not left out", "filled = min(size, length - number * size)", "filled = size"),
    Mistake("6.5", "blocks are read in the order of their numbers", "in enumerate(table)", "in enumerate(sorted(table))"),
    Mistake("6.2", "the cache is not appended to", "    cache.length += len(ids)\n", ""),
    Mistake("6.2", "a token is turned by the wrong place", "range(cache.length, cache.length + len(ids))", "range(len(ids))"),
    Mistake("6.2", "heads share the wrong keys", "np.repeat(keys, group, axis=1), np", "np.tile(keys, (1, group, 1)), np"),
    Mistake("6.2", "the cache is there and not used", "        new = [token]\n", "        new, cache = ids, Cache(model.config, len(ids))\n"),
    Mistake("6.6", "bias correction is missing", "value=-lr / reached_mean", "value=-lr"),
    Mistake("6.6", "the square is the mean's", "state[\"square\"].mul_(betas[1])", "state[\"square\"].mul_(betas[0])"),
    Mistake("6.6", "Lion forgets its sign", ").sign_()", ")"),
    Mistake("6.6", "Adafactor keeps a row's sum", ".div_(grad.shape[-1]), news)", ", news)"),
    Mistake("6.3", "the mask is off by one", "rows[:, None] >= columns", "rows[:, None] + 1 >= columns"),
    Mistake("6.3", "the scale is dropped", ") * scale_of(q.shape[-1])\n    return", ")\n    return"),
    Mistake("6.3", "the sum is not scaled down with the maximum", "total = total * shrink +", "total = total +"),
    Mistake("6.3", "what was collected is not scaled down", "collected * shrink +", "collected +"),
    Mistake("6.3", "the gradient forgets the softmax's sum", "(d_weights - delta[:, rows])", "d_weights"),
    Mistake("6.3", "the whole matrix is there after all", "block: int = 64) -> tuple[Array, Array]:", "block: int = 4096) -> tuple[Array, Array]:"),
    Mistake("6.7.1", "the bias counts in the weights too", "weights = scores.gather(1, chosen)", "weights = (scores + bias).gather(1, chosen)"),
    Mistake("6.7.1", "the busy become busier", "torch.sign(load.mean() - load)", "torch.sign(load - load.mean())"),
    Mistake("6.7.1", "the weights do not sum to one", "weights / (weights.sum(-1, keepdim=True) + 1e-20)", "weights"),
    Mistake("6.7.1", "nobody is shared", "out = self.shared(flat)", "out = torch.zeros_like(flat)"),
    Mistake("6.7.2", "every guess is kept", "if rng.random() < p[token] / q[token]:", "if True:"),
    Mistake("6.7.2", "what is thrown away is drawn from the target anew", "rest = np.maximum(p - q, 0)", "rest = p"),
    Mistake("6.7.2", "the token for nothing is drawn for the wrong place", "p=target[-1])", "p=target[0])"),
    Mistake("6.7.2", "the token for nothing is forgotten", "    written.append(int(rng.choice(target.shape[-1], p=target[-1])))", ""),
    Mistake("6.7.3", "it is asked for the token it was told", "second.flatten(0, 1), ids[:, 2:]", "second.flatten(0, 1), ids[:, 1:-1]"),
    Mistake("6.7.3", "a wrong guess is kept", "if guess is not None and new[0] == guess:", "if guess is not None:"),
    Mistake("6.7.4", "the scale is the mean", "np.abs(weight).max(axis=1, keepdims=True) / 127", "np.abs(weight).mean(axis=1, keepdims=True) / 127"),
    Mistake("6.7.4", "NF4 has no exact zero", "[*above, 0.0, *below]", "[*above, 0.05, *below]"),
    Mistake("6.7.4", "the error goes nowhere", "left[:, column + 1 :] -= np.outer(error, upper[column, column + 1 :])", "pass"),
    Mistake("6.7.4", "the wrong triangle", "upper = np.linalg.cholesky(np.linalg.inv(h)).T", "upper = np.linalg.cholesky(np.linalg.inv(h))"),
    Mistake("6.7.5", "the clip never cuts", "torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)", "ratio * advantages"),
    Mistake("6.7.5", "surprises are not passed back", "later = surprise + gamma * lam * later", "later = surprise"),
    Mistake("6.7.5", "DPO forgets the reference", "((better - better_reference) - (worse - worse_reference))", "(better - worse)"),
    Mistake("6.7.5", "a long answer counts for more", "* mask).sum(1) / mask.sum(1).clamp(min=1)", "* mask).sum(1) / mask.sum(1).mean()"),
    Mistake("6.7.5", "the distance has the wrong sign", "off = reference - logps", "off = logps - reference"),
    Mistake("6.7.6", "sizes are not raised to their power", "sizes**-alpha, tokens**-beta", "sizes**-alpha, tokens**-alpha"),
    Mistake("6.7.6", "the budget is not shared out", "(budget / 6) ** (law.beta", "(budget / 6) ** (law.alpha"),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: f"{one.task} {one.name}")
def test_a_mistake_is_found(mistake: Mistake, tmp_path: Path) -> None:
    source = find_lesson(mistake.task).path.read_text()
    assert source.count(mistake.right) == 1, "the lesson reads differently now"
    file = tmp_path / "mine.py"
    file.write_text(source.replace(mistake.right, mistake.wrong))
    assert not prove(mistake.task, file).passed
