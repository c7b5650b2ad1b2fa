"""6.7.6: the fit finds laws that are known; and small models are trained for one that is not, with what it foretells of a larger one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from zhilu.internals.proofs.text import source_bytes
from zhilu.internals.result import Chart, Check, Result, Say, Series, Table, at_least, at_most, worst
from zhilu.messages import T
from zhilu.training.model import Nano, NanoConfig

__all__ = ["prove", "sweep"]

_WIDTHS = (16, 24, 32, 48, 72)
_STEPS, _ROWS, _LENGTH = 240, 8, 64
_LOOKS = (60, 90, 120, 160, 200, 240)
_HELD = 96  # rows that no model is trained on: the end of the text


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``beyond.scaling`` has."""
    say(0.0, T("laws that are known", "已知的规律"))
    checks = [*_known(part)]
    runs = sweep(part, say)
    say(0.85, T("fitting", "拟合"))
    largest = max(run.parameters for run in runs)
    seen = [run for run in runs if run.parameters < largest]
    law = part.fit(seen)
    hidden = [run for run in runs if run.parameters == largest]
    foretold = [part.predict(law, run.parameters, run.tokens) for run in hidden]
    off = worst(abs(a / run.loss - 1) for a, run in zip(foretold, hidden, strict=True))
    inside = worst(abs(part.predict(law, run.parameters, run.tokens) / run.loss - 1) for run in seen)
    smaller = [min(one.loss for one in seen if one.tokens == run.tokens) for run in hidden]
    mean, naive = (
        float(np.mean([abs(a / run.loss - 1) for a, run in zip(one, hidden, strict=True)]))
        for one in (foretold, smaller)
    )
    alphas, betas = part.spread(seen, 12)
    checks += [
        at_most(T("runs that were fitted: largest error", "参与拟合的运行：最大误差"), inside, 0.05),
        at_most(T("the largest model, which the fit never saw", "拟合从未见过的最大模型：误差"), off, 0.08),
        at_least(
            T("a larger model is better after the same text", "同样的文本，大模型更好（最小与最大之差）"),
            _gain(runs),
            0.05,
        ),
    ]
    sizes = sorted({run.parameters for run in runs})
    return Result(
        task="6.7.6",
        answer=0 if law.beta < 0.5 else 1,
        checks=checks,
        charts=[
            Chart(
                title=T(
                    "Loss by size after the same text, and the law fitted without the largest",
                    "同样文本后的损失与规模，以及不含最大模型的拟合",
                ),
                x=T("parameters of the blocks", "各层的参数量"),
                y=T("loss", "损失"),
                log=True,
                series=[
                    *(
                        Series(
                            name=T(f"{tokens:,.0f} bytes read", f"读了 {tokens:,.0f} 字节"),
                            xs=sizes,
                            ys=[next(r.loss for r in runs if r.parameters == n and r.tokens == tokens) for n in sizes],
                        )
                        for tokens in (hidden[0].tokens, hidden[-1].tokens)
                    ),
                    Series(
                        name=T("the law, at the end", "规律（最后）"),
                        xs=sizes,
                        ys=[part.predict(law, n, hidden[-1].tokens) for n in sizes],
                    ),
                ],
            )
        ],
        tables=[
            Table(
                title=T("The law, and how much of it to believe", "得到的规律，以及该信多少"),
                columns=[T("what", "内容"), T("value", "数值")],
                rows=[
                    [
                        T("L(N, D) = E + A / N^α + B / D^β", "L(N, D) = E + A / N^α + B / D^β"),
                        T.of(f"E {law.floor:.2f}, α {law.alpha:.2f}, β {law.beta:.2f}"),
                    ],
                    [
                        T("α in laws fitted to runs drawn anew (10 % to 90 %)", "重新抽样拟合的 α（10% 到 90%）"),
                        T.of("{:.2f} – {:.2f}".format(*np.quantile(alphas, (0.1, 0.9)))),
                    ],
                    [T("β, the same", "β，同上"), T.of("{:.2f} – {:.2f}".format(*np.quantile(betas, (0.1, 0.9))))],
                    [
                        T("the largest model: foretold, measured", "最大模型：预言、实测"),
                        T.of(f"{foretold[-1]:.3f}, {hidden[-1].loss:.3f}"),
                    ],
                    [
                        T(
                            "mean error of the law, of “as good as the next smaller”",
                            "平均误差：规律、“和小一号的一样好”",
                        ),
                        T.of(f"{mean:.1%}, {naive:.1%}"),
                    ],
                ],
            )
        ],
    )


def _known(part: Any) -> list[Check]:
    """Runs made by laws whose numbers are known, Chinchilla's among them."""
    powers, errors = [], []
    for floor, a, alpha, b, beta in ((1.69, 406.4, 0.34, 410.7, 0.28), (0.5, 30.0, 0.6, 80.0, 0.45)):
        runs = [
            part.Run(n, d, floor + a * n**-alpha + b * d**-beta)
            for n in (1e6, 1e7, 1e8, 1e9)
            for d in (1e7, 1e9, 1e10, 1e11)
        ]
        law = part.fit(runs)
        powers += [abs(law.alpha - alpha), abs(law.beta - beta)]
        errors.append(abs(part.predict(law, 7e9, 1e12) / (floor + a * 7e9**-alpha + b * 1e12**-beta) - 1))
    law = part.fit(runs)
    best = part.best_size(law, 1e20)
    tried = np.geomspace(best / 100, best * 100, 2001)
    losses = [part.predict(law, n, 1e20 / 6 / n) for n in tried]
    return [
        at_most(T("powers of known laws", "已知规律的幂次之差"), worst(powers), 0.02),
        at_most(T("a known law, asked ten times further", "已知规律外推十倍的误差"), worst(errors), 0.01),
        at_most(
            T("best size for a budget, against trying all", "给定预算的最佳规模，与逐个尝试之差"),
            abs(np.log(tried[int(np.argmin(losses))] / best)),
            0.02,
        ),
    ]


def sweep(part: Any, say: Say) -> list[Any]:
    """Models of five sizes on the same text, each looked at several times on its way (constant rate, so that every look counts)."""
    whole = torch.frombuffer(bytearray(source_bytes()), dtype=torch.uint8)
    cut = len(whole) * 9 // 10
    text, rest = whole[:cut], whole[cut:]
    held = torch.stack(
        [rest[at : at + _LENGTH + 1].long() for at in range(0, len(rest) - _LENGTH - 1, len(rest) // _HELD)]
    )
    runs = []
    for index, width in enumerate(_WIDTHS):
        say(0.05 + 0.8 * index / len(_WIDTHS), T(f"training, width {width}", f"训练，宽度 {width}"))
        torch.manual_seed(21)
        shape = {"num_hidden_layers": 2, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 32}
        config = NanoConfig(
            vocab_size=256,
            hidden_size=width,
            intermediate_size=2 * width,
            max_position_embeddings=128,
            rope_theta=1e4,
            **shape,
        )
        model = Nano(config)
        size = part.parameters(width, 2, 2 * width, 1, 1, 32)
        assert size == model.num_parameters() - 256 * width - width  # all but embedding and last norm
        optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95), weight_decay=0.0)
        rng = torch.Generator().manual_seed(22)
        for step in range(1, _STEPS + 1):
            places = torch.randint(len(text) - _LENGTH - 1, (_ROWS,), generator=rng)
            batch = torch.stack([text[at : at + _LENGTH + 1].long() for at in places])
            for group in optimizer.param_groups:
                group["lr"] = 4e-3 * min(1.0, step / 20)
            loss = _entropy(model, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step in _LOOKS:
                with torch.no_grad():
                    runs.append(part.Run(float(size), float(step * _ROWS * _LENGTH), _entropy(model, held).item()))
    return runs


def _entropy(model: Nano, batch: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


def _gain(runs: list[Any]) -> float:
    end = max(run.tokens for run in runs)
    last = sorted((run.parameters, run.loss) for run in runs if run.tokens == end)
    return float(last[0][1] - last[-1][1])
