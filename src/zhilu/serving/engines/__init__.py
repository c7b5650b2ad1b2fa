"""The registered engines, and the choice between them. An engine registers as an entry point of ``zhilu.engines``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from zhilu.context import Context
from zhilu.errors import InputError, MissingComponentError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.facts import EngineFacts, EngineKind, LaunchOptions, ServedModel

__all__ = ["check_setting", "choose_engine", "engine_registry"]


def engine_registry() -> Registry[EngineKind]:
    """All engines that are registered, ours and those of other packages."""
    return Registry.from_entry_points("zhilu.engines", T("engine", "引擎"))


def check_setting(context: Context, name: str) -> None:
    """What the setting ``engine`` may name.

    Raises:
        NotFoundError: no such engine; names the nearest.
    """
    if name != "auto":
        engine_registry().get(name)


def choose_engine(
    wanted: str,
    model: ServedModel,
    registry: Registry[EngineKind],
    options: LaunchOptions | None = None,
    freed: int = 0,
) -> tuple[str, T]:
    """The engine's name and the reason for it.

    ``auto`` takes the first by rank, on this machine's CPU or GPU, that reads the model's format, heeds every option
    that was given, is installed, and has the memory. Engines of other packages that state no rank come last.
    ``freed``: bytes that an engine holds which ends before this one starts.

    Raises:
        NotFoundError: ``wanted`` is no engine; names those there are.
        MissingComponentError: none can; says of each why. InputError: an adapter that no engine could load.
    """
    if wanted != "auto":
        registry.get(wanted)
        return wanted, T("you chose it", "由你指定")
    engines = [registry.get(name) for name in registry.names()]
    if model.path is None:
        remote = next(engine.facts.name for engine in engines if not engine.facts.is_process)
        return remote, T("the model lives behind a URL", "模型在一个 URL 后面")
    from zhilu.serving.supervise.adapter_check import BAD_ADAPTER
    from zhilu.serving.supervise.preflight import has_gpu, objection

    place: Literal["cpu", "gpu"] = "gpu" if has_gpu() else "cpu"
    ranked = [engine for engine in engines if engine.facts.is_process and _rank(engine.facts, place) > 0]
    ranked.sort(key=lambda engine: -_rank(engine.facts, place))
    against: dict[str, ZhiluError] = {}
    for engine in ranked:
        why_not = objection(engine, model, options or LaunchOptions(), freed)
        if why_not is None:
            return engine.facts.name, _reason(model, place, against)
        if why_not.code == BAD_ADAPTER:
            raise why_not  # true of every engine: looking on would only bury it
        against[engine.facts.name] = why_not
    nobody = T("none of those there are is chosen by itself.", "已有的引擎都不会被自动选用。")
    raise MissingComponentError(
        T(
            f"No engine here can serve {model.name!r}: "
            + (" ".join(f"[{name}] {why.message.en}" for name, why in against.items()) or nobody.en),
            f"这里没有引擎能运行 {model.name!r}："
            + ("".join(f"[{name}] {why.message.zh}" for name, why in against.items()) or nobody.zh),
        ),
        fix=_fix(list(against.values())),
    )


def _fix(objections: list[ZhiluError]) -> str:
    """What helps soonest: less memory for an engine that is there, else installing one that would do, else other options."""
    too_large = [e for e in objections if isinstance(e, InputError) and not isinstance(e, UnsupportedError)]
    missing = [e for e in objections if isinstance(e, MissingComponentError) and "install" in str(e.fix)]
    return next((str(error.fix) for error in (*too_large, *missing, *objections) if error.fix), "zhilu engine list")


def _rank(facts: EngineFacts, place: Literal["cpu", "gpu"]) -> float:
    """Below every stated rank where none is: whoever installed that package meant to use it."""
    return facts.rank.get(place, 0) if facts.rank else 0.5


def _reason(model: ServedModel, place: str, against: Mapping[str, ZhiluError]) -> T:
    where = T("a GPU", "GPU") if place == "gpu" else T("a CPU", "CPU")
    en = f"the first choice on {where.en} of those that read {model.format} and take what was asked"
    zh = f"在 {where.zh} 上，它是能读 {model.format} 并满足要求的首选"
    if against:
        en += "; passed over: " + " ".join(f"{name} ({why.message.en})" for name, why in against.items())
        zh += "；略过：" + "".join(f"{name}（{why.message.zh}）" for name, why in against.items())
    return T(en, zh)
