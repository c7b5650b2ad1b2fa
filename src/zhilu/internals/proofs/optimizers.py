"""6.6: every optimizer equals the library's on one model and one data, in its weights, its loss curve and its bytes."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zhilu.internals.proofs.text import source_bytes
from zhilu.internals.result import Chart, Check, Result, Say, Series, Table, at_least, at_most, same, worst
from zhilu.messages import T
from zhilu.training.model import Nano, NanoConfig
from zhilu.training.optimizer import orthogonalize

__all__ = ["batches", "prove", "rate_sweep", "small_model", "train"]

_STEPS = 40
_SWEEP_STEPS, _TAIL, _LOST = 20, 5, 6.0  # the loss of a guess among 256 bytes is 5.5: above it nothing was learned
_TIMES = (1 / 9, 1 / 3, 1, 3, 9)
_SAME = 1e-7  # of weights after all steps: the last bit of a number around one
SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.03, "momentum": 0.9},
    "adamw": {"lr": 3e-3, "decay": 0.01},
    "lion": {"lr": 5e-4, "decay": 0.01},
    "adafactor": {"lr": 0.03},
    "muon": {"lr": 0.02, "decay": 0.1},
}
NAMES = {"sgd": "SGD", "adamw": "AdamW", "lion": "Lion", "adafactor": "Adafactor", "muon": "Muon"}


def small_model() -> Nano:
    """The product's own network, small: bytes are its tokens; always the same weights."""
    torch.manual_seed(6)
    shape = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
    }
    return Nano(NanoConfig(vocab_size=256, intermediate_size=128, max_position_embeddings=128, rope_theta=1e4, **shape))


def batches(steps: int, rows: int = 8, length: int = 65, seed: int = 7) -> list[Tensor]:
    """``steps`` times ``(rows, length)`` bytes of real Python."""
    text = torch.frombuffer(bytearray(source_bytes()), dtype=torch.uint8)
    places = torch.randint(len(text) - length, (steps, rows), generator=torch.Generator().manual_seed(seed))
    return [torch.stack([text[at : at + length].long() for at in row]) for row in places]


def prove(part: Any, say: Say) -> Result:
    """``part`` has ``Stepper`` and ``orthogonalize`` of ``lesson6_optimizers``."""
    torch.use_deterministic_algorithms(True)
    data = batches(_STEPS)
    curves, checks, rows = [], list[Check](), []
    for index, name in enumerate(SETTINGS):
        say(0.6 * index / len(SETTINGS), T(f"training with {NAMES[name]}", f"用 {NAMES[name]} 训练"))
        mine, theirs = small_model(), small_model()
        if name == "lion":  # a sign turns at the last bit: in double precision no two ways to add disagree about it
            mine, theirs = mine.double(), theirs.double()
        ours = _own(part, name, mine)
        losses = train(mine, [one.step for one in ours], data)
        library = _library(name, theirs)
        wanted = train(theirs, [one.step for one in library], data)
        off = worst(
            float((a - b).detach().abs().max()) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True)
        )
        apart = worst(abs(a - b) for a, b in zip(losses, wanted, strict=True))
        whose = "torch.optim" if name != "lion" else "2302.06675"
        said = NAMES[name]
        checks += [
            at_most(T(f"{said}: weights after {_STEPS} steps, against {whose}", f"{said}：{_STEPS} 步后的权重，与 {whose} 之差"), off, _SAME),
            at_most(T(f"{said}: loss curve, against {whose}", f"{said}：损失曲线，与 {whose} 之差"), apart, 1e-6),
        ]  # fmt: skip
        moved = ours[0].nbytes
        count = sum(weight.nbytes for weight in ours[0].weights) // 4
        checks.append(
            same(T(f"{NAMES[name]}: bytes of state", f"{NAMES[name]}：状态字节数"), moved, _state_bytes(library[0]))
        )
        curves.append(Series(name=T(NAMES[name], NAMES[name]), xs=list(range(1, _STEPS + 1)), ys=losses))
        rows.append([NAMES[name], f"{moved:,}", f"{moved / count:.2f}", f"{losses[0]:.3f}", f"{losses[-1]:.3f}"])
        if name == "adamw":
            each = moved / count
    checks += _orthogonal(part)
    swept = {}
    for index, name in enumerate(SETTINGS):
        said = NAMES[name]
        say(0.6 + 0.4 * index / len(SETTINGS), T(f"learning rates of {said}", f"{said} 的学习率"))
        swept[name] = rate_sweep(part, name)
    best = {name: min(found, key=lambda rate: found[rate]) for name, found in swept.items()}
    checks += [
        at_least(
            T("best learning rates: the largest over the smallest", "各优化器的最佳学习率：最大与最小之比"),
            max(best.values()) / min(best.values()),
            5,
        ),
        at_least(
            T("a wrong rate costs, of any optimizer (loss)", "学习率选错的代价，任一优化器（损失）"),
            min(max(found.values()) - min(found.values()) for found in swept.values()),
            0.2,
        ),
    ]
    falls = min(one.ys[0] - one.ys[-1] for one in curves)
    checks.append(at_least(T("every curve falls by", "每条曲线至少下降"), falls, 0.5))
    return Result(
        task="6.6",
        answer=min(range(3), key=lambda option: abs((4, 8, 16)[option] - each)),
        checks=checks,
        charts=[
            Chart(
                title=T("The same model, the same data", "同一个模型，同样的数据"),
                x=T("step", "步"),
                y=T("loss", "损失"),
                series=curves,
            ),
            Chart(
                title=T(
                    f"Loss after {_SWEEP_STEPS} steps by learning rate (6: nothing learned)",
                    f"{_SWEEP_STEPS} 步后的损失与学习率（6：什么也没学到）",
                ),
                x=T("learning rate", "学习率"),
                y=T("loss", "损失"),
                log=True,
                series=[
                    Series(name=T(NAMES[name], NAMES[name]), xs=list(found), ys=list(found.values()))
                    for name, found in swept.items()
                ],
            ),
        ],
        tables=[
            Table(
                title=T("What each keeps, and where it arrives", "各自保存多少，到达哪里"),
                columns=[
                    T("optimizer", "优化器"),
                    T("bytes of state", "状态字节"),
                    T("for each weight", "每个权重"),
                    T("first loss", "最初损失"),
                    T("last loss", "最后损失"),
                    T("best learning rate", "最佳学习率"),
                ],
                rows=[
                    [T.of(cell) for cell in (*row, f"{rate:.1e}")]
                    for row, rate in zip(rows, best.values(), strict=True)
                ],
            )
        ],
    )


def train(model: Nano, steps: list[Callable[[], Any]], data: list[Tensor]) -> list[float]:
    losses = []
    for batch in data:
        model.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        for step in steps:
            step()
        losses.append(loss.item())
    return losses


def _parts(model: Nano) -> tuple[list[Any], list[Any]]:
    """The blocks' matrices, and the rest: Muon is made for the first only."""
    matrices = [w for name, w in model.named_parameters() if w.ndim == 2 and "embed" not in name]
    rest = [w for name, w in model.named_parameters() if w.ndim != 2 or "embed" in name]
    return matrices, rest


def rate_sweep(part: Any, name: str) -> dict[float, float]:
    """Learning rates from a ninth to nine times the one in ``SETTINGS``, and the mean loss of the last steps with each."""
    found, data = {}, batches(_SWEEP_STEPS)
    for times in _TIMES:
        model = small_model()
        losses = train(model, [one.step for one in _own(part, name, model, times)], data)
        end = sum(losses[-_TAIL:]) / _TAIL
        found[SETTINGS[name]["lr"] * times] = min(end, _LOST) if isfinite(end) else _LOST
    return found


def _own(part: Any, name: str, model: Nano, times: float = 1) -> list[Any]:
    """The learner's optimizers, with ``times`` their learning rates."""

    def settings_of(name: str) -> dict[str, Any]:
        return SETTINGS[name] | {"lr": SETTINGS[name]["lr"] * times}

    if name != "muon":
        return [part.Stepper(name, model.parameters(), **settings_of(name))]
    matrices, rest = _parts(model)
    return [part.Stepper("muon", matrices, **settings_of("muon")), part.Stepper("adamw", rest, **settings_of("adamw"))]


def _library(name: str, model: Nano) -> list[Any]:
    """The same with PyTorch's own; Lion, which it has not, from the paper's formulas in a class of its own."""
    given = dict(SETTINGS[name])
    decay = given.pop("decay", 0.0)
    if name == "sgd":
        return [torch.optim.SGD(model.parameters(), foreach=False, **given)]
    if name == "adamw":
        return [torch.optim.AdamW(model.parameters(), weight_decay=decay, foreach=False, **given)]
    if name == "adafactor":
        return [torch.optim.Adafactor(model.parameters(), weight_decay=decay, foreach=False, **given)]
    if name == "lion":
        return [_PaperLion(list(model.parameters()), decay=decay, **given)]
    matrices, rest = _parts(model)
    other = dict(SETTINGS["adamw"])
    return [
        torch.optim.Muon(matrices, weight_decay=decay, **given),
        torch.optim.AdamW(rest, lr=other["lr"], weight_decay=other["decay"], foreach=False),
    ]


class _PaperLion:
    """Algorithm 2 of 2302.06675, letter by letter: update = sign(β1 m + (1-β1) g); m = β2 m + (1-β2) g."""

    def __init__(self, weights: list[Any], lr: float, decay: float) -> None:
        self.weights, self.lr, self.decay = weights, lr, decay
        self.state = {weight: {"m": torch.zeros_like(weight)} for weight in weights}

    @torch.no_grad()
    def step(self) -> None:
        for weight in self.weights:
            m, g = self.state[weight]["m"], weight.grad
            update = torch.sign(0.9 * m + 0.1 * g)
            weight -= self.lr * (update + self.decay * weight)
            self.state[weight]["m"] = 0.99 * m + 0.01 * g


def _state_bytes(library: Any) -> int:
    """Without the count of steps, which PyTorch keeps as a tensor for each weight."""
    kept = [(name, value) for state in library.state.values() for name, value in state.items()]
    return sum(value.nbytes for name, value in kept if isinstance(value, Tensor) and name != "step")


def _orthogonal(part: Any) -> list[Check]:
    """Singular values of what Muon moves by; and that the trainer's own way, in full precision, is the same direction."""
    torch.manual_seed(1)
    update = torch.randn(64, 128)
    mine = part.orthogonalize(update).float()
    sizes = torch.linalg.svdvals(mine)
    theirs = orthogonalize(update)
    alike = float(F.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0))
    return [
        at_least(T("Muon: smallest singular value of a step", "Muon：一步的最小奇异值"), float(sizes.min()), 0.5),
        at_most(T("Muon: largest singular value of a step", "Muon：一步的最大奇异值"), float(sizes.max()), 1.5),
        at_least(T("Muon: likeness to the trainer's own, in float32", "Muon：与训练器自带版本的相似度"), alike, 0.99),
    ]
