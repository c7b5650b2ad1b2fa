"""What an engine is to us: facts, and a pure function from (model, options) to a command line.

An engine is a process that speaks the OpenAI protocol, never an import. To add one, write a file in ``engines/`` with its facts
and its ``launch``, and register an entry point in the group ``zhilu.engines``. What it can do is data (``EngineFacts.can``); no
other code asks for an engine by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, Protocol

from zhilu import wire
from zhilu.errors import UnsupportedError
from zhilu.messages import T

__all__ = [
    "MANY",
    "OPTIONS",
    "EngineFacts",
    "EngineKind",
    "InstallPlan",
    "InstallStep",
    "Launch",
    "LaunchOptions",
    "MemoryFacts",
    "Place",
    "Preference",
    "ProofFacts",
    "Remote",
    "ServedModel",
    "refuse_untaken",
]

Place = Literal["cpu", "gpu"]

# Requests at a time from which a start is meant for many people and not for one.
MANY = 6

# What a person may ask of a start beyond the model: the field of LaunchOptions -> the flag that sets it.
OPTIONS: Mapping[str, str] = {
    "max_len": "--context",
    "concurrency": "--concurrency",
    "precision": "--precision",
    "loras": "--lora",
    "speculate": "--speculate",
    "base_url": "--base-url",
    "remote_model": "--remote-model",
}


@dataclass(frozen=True)
class InstallStep:
    """One step of an installation; each can be repeated without harm, and goes on with what an earlier try left.

    Attributes:
        kind: ``pip`` installs ``words``; ``torch`` installs that version of PyTorch, the CPU build where no GPU answers;
            ``drop`` uninstalls those of ``words`` (packages) that cannot be imported here;
            ``prove`` runs the environment's Python with ``words``, and fails the installation where that fails.
        share: of the whole work, for the progress bar; the shares of a plan need not add up to 1.
    """

    kind: Literal["pip", "torch", "drop", "prove"]
    title: T
    words: tuple[str, ...]
    share: float = 1.0


@dataclass(frozen=True)
class InstallPlan:
    """How an engine gets an environment of its own under ``engines/NAME`` of the data home. Versions are pinned here.

    Attributes:
        version: what is installed, as a person knows it. disk_bytes: room it takes while it is made, measured once.
        python: the lowest and the first unsupported Python. needs_programs: to be on the PATH.
        preload: patterns of libraries in the environment that are to be loaded before the engine.
    """

    version: str
    steps: tuple[InstallStep, ...]
    disk_bytes: int
    python: tuple[tuple[int, int], tuple[int, int]] = ((3, 10), (3, 14))
    needs_programs: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    system: str | None = None  # platform.system(), None for any


@dataclass(frozen=True)
class MemoryFacts:
    """What an engine needs beside a model's own numbers; see ``memory.estimate``.

    Attributes:
        base_bytes: of a process with a tiny model loaded.
        precisions: the word for ``--precision`` -> bits a weight has in memory; the first is the default. The word
            ``stored`` stands for the bits that the file has.
        kv_bits: of one value in the cache.
        twice_up_to: weights of at most so many bytes in memory are held twice.
        requests, context: that it is started for where nobody says: requests at a time, and tokens of each. Context 0: it
            does not take its cache at the start, or sizes it by itself.
        cache_up_to: bytes; where the cache of ``context`` would be larger, half of it is the default.
        block_bits: bits a value of a GGUF file's matrices has in memory, by its type; empty: those of the file.
        bytes_per_word: for each token of a GGUF file's vocabulary.
    """

    base_bytes: int
    precisions: Mapping[str, float] = field(default_factory=lambda: {"stored": 0})
    kv_bits: int = 16
    twice_up_to: int = 0
    requests: int = 1
    context: int = 0
    cache_up_to: int = 0
    block_bits: Mapping[str, float] = field(default_factory=dict)
    bytes_per_word: int = 0


@dataclass(frozen=True)
class Preference:
    """A rank of its own for ``--engine auto`` in some situations, told by what of it is not None.

    Attributes:
        rank: as ``EngineFacts.rank``. reason: why it is so, continuing "the first choice on a CPU: ...".
        place: what computes. format: of the model's files. many: whether many requests at a time were asked for.
        wide: whether the processor has AVX-512, VNNI or AMX.
    """

    rank: int
    reason: T
    place: Place | None = None
    format: Literal["safetensors", "gguf"] | None = None
    many: bool | None = None
    wide: bool | None = None

    def fits(self, place: Place, format: str | None, many: bool, wide: bool) -> bool:
        asked = ((self.place, place), (self.format, format), (self.many, many), (self.wide, wide))
        return all(wanted is None or wanted == there for wanted, there in asked)


@dataclass(frozen=True)
class ProofFacts:
    """How a foreign engine is held to our own reading of a model before it is ready (``proofs/handover_proof.py``).

    Attributes:
        formats: that are proven: those that somebody had to translate for it.
        counts_off: by how many tokens it may count a prompt otherwise than we do, of all prompts alike.
    """

    formats: frozenset[str] = frozenset({"safetensors"})
    counts_off: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class EngineFacts:
    """What is known of an engine, with where it is from and when it was checked.

    Attributes:
        name: the word for ``--engine``, and the name of the entry point.
        status: ``alive``; ``legacy`` (works, no longer developed); ``needs_gpu``.
        is_process: False for an engine that runs elsewhere and is only reached by its URL.
        source: where the facts can be checked; ``checked``: the day they were (ISO date).
        can: features it really has here, words of ``wire.CAPABILITIES``.
        formats: of models, ``safetensors`` or ``gguf``; empty where the model lives elsewhere.
        takes: fields of ``LaunchOptions`` that it heeds; any other that is set is refused by the name of its flag.
        install, install_gpu: how it is installed, and how where an NVIDIA GPU answers, if otherwise.
        install, memory: None where nothing is installed, or nothing is loaded here.
        metrics: its own name of a figure -> the name that the gateway and vLLM have for it.
        tells_thoughts: it gives a thinking model's thoughts apart from the answer by itself.
        enforced: those of ``can`` that it does not hold itself and the gateway makes true: ``tool_choice``, by a JSON schema.
        max_len_at: where an entry of its ``/v1/models`` says how many tokens a request may have.
        rank: how much ``--engine auto`` prefers it, on a CPU and on a GPU; 0, or only the other of the two given: never
            chosen by itself there. Empty, as another package may leave it: chosen where no ranked engine can serve.
        preferences: the first of them that fits goes before ``rank``.
        instead: for an option that it does not take, why, in a sentence, and the start that would (``MODEL`` stands for the
            model's name).
        start_seconds: a start on a slow machine may take so long.
        handed: a folder is given to it by links with both spellings of what transformers 4 and 5 write differently, and
            how it may be linked (``engines/handover.py``); None: it gets the folder itself.
        proof: how its reading of a model is checked before it is ready; None: not at all.
        status_note: what the status means for a person, in a sentence.
    """

    name: str
    title: T
    status: Literal["alive", "legacy", "needs_gpu"]
    description: T
    source: str
    checked: str
    can: frozenset[str]
    is_process: bool = True
    formats: frozenset[str] = frozenset({"safetensors"})
    takes: frozenset[str] = frozenset({"max_len"})
    install: InstallPlan | None = None
    install_gpu: InstallPlan | None = None
    memory: MemoryFacts | None = None
    metrics: Mapping[str, str] = field(default_factory=dict)
    enforced: frozenset[str] = frozenset()
    tells_thoughts: bool = False
    max_len_at: tuple[str, ...] = ("max_model_len",)
    rank: Mapping[Place, int] = field(default_factory=dict)
    preferences: tuple[Preference, ...] = ()
    instead: Mapping[str, tuple[T, str]] = field(default_factory=dict)
    start_seconds: float = 0.0
    handed: Literal["read", "imported"] | None = None
    proof: ProofFacts | None = None
    status_note: T | None = None

    def __post_init__(self) -> None:
        unknown = self.can - wire.CAPABILITIES.keys()
        if unknown:
            raise ValueError(f"engine {self.name!r}: unknown capabilities {sorted(unknown)}")
        unknown = self.takes - {f.name for f in fields(LaunchOptions)}
        if unknown:
            raise ValueError(f"engine {self.name!r}: unknown options {sorted(unknown)}")

    def refuse_beyond(self, endpoint: str, request: wire.Request | None = None) -> None:
        """Raise UnsupportedError for an endpoint, or the first wish of a request, that the engine has not.

        A server reached by its URL is asked anyway: what it can do only it knows, and it refuses for itself.
        """
        if not self.is_process:
            return
        try:
            wire.refuse_endpoint(self.name, self.can, endpoint)
        except UnsupportedError as error:
            if "lora" in endpoint and "loras" in self.instead:
                why, error.fix = self.instead["loras"]
                error.message = T(f"{error.message.en} {why.en}", f"{error.message.zh}{why.zh}")
            raise
        if request is not None:
            wire.refuse_beyond(self.name, self.can, request)


@dataclass(frozen=True)
class Remote:
    """Where a model of an API that a person added lives: the API's name here, its root, and the model's name there."""

    api: str
    root: str
    model: str
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ServedModel:
    """A model under the name that clients use, and its folder or GGUF file (None where it lives behind a URL).

    Attributes:
        not_ours: why the embedded engine cannot run it, None where it can.
        remote: of an API that was added, where it is; None for one whose URL is an option of its start.
    """

    name: str
    path: Path | None = None
    not_ours: T | None = None
    remote: Remote | None = None

    @property
    def format(self) -> Literal["safetensors", "gguf"] | None:
        if self.path is None:
            return None
        return "gguf" if self.path.suffix.lower() == ".gguf" else "safetensors"


@dataclass(frozen=True)
class LaunchOptions:
    """What a person may choose when an engine is started; an engine takes what it needs.

    Attributes:
        threads: CPU threads, 0 for all cores.
        max_len: longest sequence in tokens, None for the model's own.
        concurrency: sequences that may be computed at the same time, None for the engine's own default.
        precision: of the weights, a word of the engine's ``MemoryFacts.precisions``.
        loras: adapters to start with, name and folder. speculate: tokens guessed ahead by n-grams, 0 for none.
        home: the data home with the engines' environments; None: what ``ZHILU_HOME`` says.
        base_url, api_key, remote_model: for engines that are only reached by URL. The key is never written to disk.
    """

    threads: int = 0
    max_len: int | None = None
    concurrency: int | None = None
    precision: str | None = None
    loras: tuple[tuple[str, Path], ...] = ()
    speculate: int | None = None
    home: Path | None = None
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
        root: what stands for ``url/v1`` where that is called otherwise (``https://HOST/api/paas/v4``).
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
    root: str | None = None

    def at(self, endpoint: str) -> str:
        """The URL of an endpoint such as ``/v1/models``."""
        if self.root is not None and endpoint.startswith("/v1/"):
            return f"{self.root}{endpoint[3:]}"
        return f"{self.url}{endpoint}"


class EngineKind(Protocol):
    """The seam. Implementations hold no state; ``launch`` has no side effects."""

    facts: EngineFacts

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        """Whether it can be started here, and why (not); ``home`` as in ``LaunchOptions``."""
        ...

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        """The command that serves ``model`` on loopback ``port``.

        Raises:
            InputError: an option is missing or cannot be used with this engine.
        """
        ...


def refuse_untaken(facts: EngineFacts, options: LaunchOptions, model: str = "MODEL") -> None:
    """
    Args:
        model: its name, for the command that is advised.

    Raises:
        UnsupportedError: an option is set that the engine does not heed, or a precision that it does not know.
    """
    for name, flag in OPTIONS.items():
        given = getattr(options, name)
        if given not in (None, ()) and name not in facts.takes:
            why, fix = facts.instead.get(name, (T("", ""), "zhilu engine list"))
            raise UnsupportedError(
                T(
                    f"The engine {facts.name!r} cannot take {flag}, given {_shown(given)!r}. {why.en}".rstrip(),
                    f"引擎 {facts.name!r} 不支持 {flag}，给出的是 {_shown(given)!r}。{why.zh}",
                ),
                param=name,
                fix=fix.replace("MODEL", model),
            )
    known = tuple(facts.memory.precisions) if facts.memory else ()
    if options.precision is not None and options.precision not in known:
        raise UnsupportedError(
            T(
                f"The engine {facts.name!r} knows the precisions {', '.join(known)}, given {options.precision!r}.",
                f"引擎 {facts.name!r} 支持的精度有 {', '.join(known)}，给出的是 {options.precision!r}。",
            ),
            param="precision",
            fix=f"zhilu serve {model} --engine {facts.name} --precision {next(iter(known), 'stored')}",
        )


def _shown(value: object) -> object:
    """A list of adapters as it was written."""
    return ", ".join(f"{name}={path}" for name, path in value) if isinstance(value, tuple) else value
