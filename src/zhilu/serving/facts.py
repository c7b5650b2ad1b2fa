"""What an engine is to us: facts, and a pure function from (model, options) to a command line.

An engine is a process that answers the OpenAI protocol, never an import. To add one: a file in ``engines/`` with its facts
and its ``launch``, and an entry point in the group ``zhilu.engines``. What it can do is data (``EngineFacts.can``); no
other code asks for an engine by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from zhilu.messages import T

__all__ = ["FEATURES", "Engine", "EngineFacts", "Launch", "LaunchOptions", "ServedModel"]

# Every word that EngineFacts.can may hold, and what it promises.
FEATURES: Mapping[str, T] = {
    "chat": T("chat completions", "对话补全"),
    "completions": T("completions of a raw prompt", "原始提示补全"),
    "stream": T("streamed answers", "流式回答"),
    "stream_usage": T("token counts at the end of a stream", "流式结束时给出用量"),
    "tokenize": T("text to token ids and back", "文本与 token id 互转"),
    "metrics": T("Prometheus metrics", "Prometheus 指标"),
    "state": T("block table and scheduler made visible", "可查看块表与调度器"),
    "logprobs": T("log-probabilities", "对数概率"),
    "seed": T("repeatable sampling by seed", "用种子重现采样"),
}


@dataclass(frozen=True)
class EngineFacts:
    """What is known of an engine, with where it is from and when it was checked.

    Attributes:
        name: the word for ``--engine``.
        status: ``alive``; ``legacy`` (works, no longer developed); ``needs_gpu``.
        is_process: False for an engine that runs elsewhere and is only reached by its URL.
        source: where the facts can be checked; ``checked``: the day they were (ISO date).
        can: features it really has here, words of ``FEATURES``.
    """

    name: str
    title: T
    status: Literal["alive", "legacy", "needs_gpu"]
    description: T
    source: str
    checked: str
    can: frozenset[str]
    is_process: bool = True

    def __post_init__(self) -> None:
        unknown = self.can - FEATURES.keys()
        if unknown:
            raise ValueError(f"engine {self.name!r}: unknown features {sorted(unknown)}")


@dataclass(frozen=True)
class ServedModel:
    """A model under the name that clients use, and its folder (None where the model lives behind a URL)."""

    name: str
    path: Path | None = None


@dataclass(frozen=True)
class LaunchOptions:
    """What a person may choose when an engine is started; an engine takes what it needs.

    Attributes:
        threads: CPU threads, 0 for all cores.
        max_len: longest sequence in tokens, None for the model's own.
        base_url, api_key, remote_model: for engines that are only reached by URL. The key is never written to disk.
    """

    threads: int = 0
    max_len: int | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    remote_model: str | None = None


@dataclass(frozen=True)
class Launch:
    """How to start an engine, or how to reach one that runs.

    Attributes:
        argv: the command; empty for an engine that is only reached.
        env: variables on top of ours.
        url: where it answers, without ``/v1``.
        ready_path: a GET there is answered with 200 once the model is loaded.
        headers: sent with every request to it.
        model: the name that the engine itself knows the model by.
    """

    url: str
    ready_path: str
    model: str
    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Engine(Protocol):
    """The seam. Implementations hold no state; ``launch`` has no side effects."""

    facts: EngineFacts

    def installed(self) -> tuple[bool, T]:
        """Whether it can be started here, and why (not)."""
        ...

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        """The command that serves ``model`` on loopback ``port``.

        Raises:
            InputError: an option is missing or cannot be used with this engine.
        """
        ...
