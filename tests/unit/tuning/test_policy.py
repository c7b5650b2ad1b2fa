"""PPO and GRPO: advantages and objective against a second writing of the formulas, and rewards that rise near the base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zhilu.context import open_context
from zhilu.errors import InputError
from zhilu.gate import Status
from zhilu.tuning.gates import check_judged
from zhilu.tuning.rewards import REWARDS, keep_own, load_reward

pytestmark = pytest.mark.usefixtures("needs_torch")


def test_advantages_are_the_sum_of_what_comes() -> None:
    """Equation 16 of the GAE paper written as the sum that it is, in NumPy."""
    import torch

    from zhilu.tuning.recipes.policy import gae

    rng = np.random.default_rng(0)
    rewards, values, gamma, lam = rng.normal(size=9), rng.normal(size=9), 0.97, 0.9
    following = np.append(values[1:], 0.0)
    deltas = rewards + gamma * following - values
    wanted = [sum((gamma * lam) ** k * deltas[t + k] for k in range(9 - t)) for t in range(9)]
    found = gae(torch.tensor(rewards), torch.tensor(values), gamma, lam)
    assert found.numpy() == pytest.approx(np.array(wanted), abs=1e-9)
    returns = gae(torch.tensor(rewards), torch.zeros(9, dtype=torch.double), 1.0, 1.0)
    assert returns.numpy() == pytest.approx(np.cumsum(rewards[::-1])[::-1], abs=1e-9)


def test_the_objective_stops_where_it_is_clipped() -> None:
    """Loss and gradient of each token, case by case: a ratio beyond the range moves nothing where it already helps."""
    import torch

    from zhilu.tuning.recipes.policy import clipped, k3

    logps = torch.log(torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1])).requires_grad_()
    advantages = torch.tensor([2.0, -2.0, 2.0, -2.0, 1.0])
    loss = clipped(logps, torch.zeros(5), advantages, 0.2)
    assert loss.tolist() == pytest.approx([-2.4, 3.0, -1.0, 1.6, -1.1])
    loss.sum().backward()
    assert logps.grad is not None
    assert logps.grad.tolist() == pytest.approx([0.0, 3.0, -1.0, 0.0, -1.1])
    rng = np.random.default_rng(1)
    p, q = (rng.dirichlet(np.ones(40)) for _ in range(2))
    estimate = float((torch.tensor(p) * k3(torch.tensor(np.log(p)), torch.tensor(np.log(q)))).sum())
    assert estimate == pytest.approx(float((p * np.log(p / q)).sum()), rel=1e-9)  # its mean is the divergence itself


def test_answers_to_prompts_of_other_lengths_are_those_of_each_alone(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from zhilu.engine.testing import make_tiny_model
    from zhilu.tuning.recipes.rollouts import sample
    from zhilu.tuning.recipes.sft import greedy

    model = AutoModelForCausalLM.from_pretrained(make_tiny_model(tmp_path / "t"), dtype=torch.float32)
    prompts = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 11], [30]]
    ends = frozenset({greedy(model, prompts[1], frozenset(), 6)[-1]})
    assert sample(model, prompts, ends, 6, greedy=True) == [greedy(model, p, ends, 6) for p in prompts]
    torch.manual_seed(1)
    first = sample(model, prompts, ends, 6)
    torch.manual_seed(1)
    assert sample(model, prompts, ends, 6) == first


def test_rewards_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    worth = {name: REWARDS[name][0]("?", "It is 7.", "7") for name in ("exact", "contains", "number", "json")}
    assert worth == {"exact": 0, "contains": 1, "number": 1, "json": 0}
    with pytest.raises(InputError, match="no reward 'nothing'"):
        load_reward("nothing", tmp_path)
    for text, match in (("def reward(:", "SyntaxError"), ("x = 1", "no function reward"), ("1 / 0", "ZeroDivision")):
        (tmp_path / "mine.py").write_text(text)
        keep_own(tmp_path / "mine.py", tmp_path)
        with pytest.raises(InputError, match=match):
            load_reward("file", tmp_path)
    (tmp_path / "mine.py").write_text("def reward(prompt, answer, wanted):\n    return float('nan')")
    keep_own(tmp_path / "mine.py", tmp_path)
    with pytest.raises(InputError, match="nan"):
        load_reward("file", tmp_path)("a", "b", "c")


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["grpo", "ppo"])
@pytest.mark.timeout(600)
def test_the_mean_reward_rises_and_the_base_stays_near(own_home: Path, train: Any, objective: str) -> None:
    """The embedded model learns to answer briefly: a reward that can be checked, and no answer is ever shown to it."""
    context = open_context({})
    topics = [
        "rain",
        "tea",
        "a port",
        "a river",
        "bread",
        "the moon",
        "a key",
        "sleep",
        "a map",
        "iron",
        "glass",
        "a song",
    ]
    rows = [{"prompt": f"Tell me about {topic}.", "completion": "No."} for topic in topics * 2]
    rows = [{**row, "prompt": f"{row['prompt']} ({n})"} for n, row in enumerate(rows)]
    run = train(
        context, rows, objective, objective=objective, reward="brief", epochs=5, max_answer=24, patience=0, learning_rate=1e-3
    )  # fmt: skip
    out = run.info().outcome
    first, last = out.measures["reward"]
    steps = [values for values in run.measured() if "train_reward" in values]
    print(objective, first, last, out.measures["kl"], [round(values["train_reward"], 2) for values in steps])
    assert last > first + 0.1
    assert steps[-1]["train_reward"] > steps[0]["train_reward"]
    assert out.measures["kl"][0] < 1e-4
    assert 0 < out.measures["kl"][1] < 1
    verdict = check_judged(context)
    assert verdict.status is Status.PASSED, verdict.why.en
    context.close()
