"""What an answer is worth to PPO and GRPO: a Python function of the prompt, the answer and the answer that the data gives.

A person's own function stands in a file, ``def reward(prompt: str, answer: str, wanted: str) -> float``, and runs in the job's
process with all rights of that process: it is taken from the command line only, never over HTTP, and kept with the run.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["FILE", "REWARDS", "RUN", "Reward", "keep_own", "load_reward"]

Reward = Callable[[str, str, str], float]
FILE = "file"  # the name of a reward that is the run's own file
RUN = "run:"  # what the name of a reward begins with that a run of rewards has learned
_OWN = "reward.py"


def _exact(prompt: str, answer: str, wanted: str) -> float:
    return float(answer.strip() == wanted.strip())


def _contains(prompt: str, answer: str, wanted: str) -> float:
    return float(bool(wanted.strip()) and wanted.strip().casefold() in answer.casefold())


def _number(prompt: str, answer: str, wanted: str) -> float:
    """Whether the last number of the answer is that of the wanted one."""
    said, right = (re.findall(r"-?\d+(?:\.\d+)?", text) for text in (answer, wanted))
    return float(bool(said and right) and float(said[-1]) == float(right[-1]))


def _json(prompt: str, answer: str, wanted: str) -> float:
    try:
        return float(isinstance(json.loads(answer), (dict, list)))
    except ValueError:
        return 0.0


def _brief(prompt: str, answer: str, wanted: str) -> float:
    """1 for an answer of one word or sign, less the longer it is; 0 for none."""
    length = len(answer.strip())
    return math.exp(-length / 40) if length else 0.0


REWARDS: dict[str, tuple[Reward, T]] = {
    "exact": (_exact, T("the answer is the one in the data", "与数据中的答案完全相同")),
    "contains": (_contains, T("the answer contains the one in the data", "包含数据中的答案")),
    "number": (_number, T("its last number is right", "最后一个数字正确")),
    "json": (_json, T("it is a JSON object or list", "是 JSON 对象或列表")),
    "brief": (_brief, T("the shorter, the better", "越短越好")),
}


def load_reward(name: str, folder: Path) -> Reward:
    """A built-in by its name, or the function in the run's own file; what it returns is a finite number.

    Raises:
        InputError: no such reward; or, when it is called: it raises, or returns something else.
    """
    if name in REWARDS:
        return REWARDS[name][0]
    if name != FILE:
        raise InputError(
            T(
                f"There is no reward {name!r}; there are {', '.join(REWARDS)}, run:NAME of a run with --objective reward, or your own file on "
                "the command line.",
                f"没有奖励 {name!r}；可用 {', '.join(REWARDS)}，run:NAME（--objective reward 的训练），或在命令行给出自己的文件。",
            ),
            param="reward",
            fix="zhilu tune run --data DATA --objective grpo --reward number",
        )
    file = folder / _OWN
    found: dict[str, object] = {"__name__": "reward", "__file__": str(file)}
    try:
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), found)
    except Exception as error:
        raise _broken(file, error) from error
    function = found.get("reward")
    if not callable(function):
        raise _broken(file, NameError("it defines no function reward(prompt, answer, wanted)"))

    def call(prompt: str, answer: str, wanted: str) -> float:
        try:
            value = float(function(prompt, answer, wanted))
            if not math.isfinite(value):
                raise ValueError(f"it returned {value}")
        except Exception as error:
            raise _broken(file, error) from error
        return value

    return call


def keep_own(file: Path, folder: Path) -> None:
    """Copy a person's file into the run's folder, where the job reads it."""
    (folder / _OWN).write_bytes(file.read_bytes())


def _broken(file: Path, error: Exception) -> InputError:
    said = f"{type(error).__name__}: {error}"
    return InputError(
        T(f"The reward in {file.name!r} does not work: {said}", f"{file.name!r} 中的奖励函数无法使用：{said}"),
        param="reward",
        code="bad_reward",
        fix="zhilu tune run --data DATA --objective grpo --reward FILE.py",
    )
