"""The registered engines, and the choice between them. An engine registers as an entry point of ``zhilu.engines``."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from zhilu.context import Context
from zhilu.engine.processor import processor
from zhilu.errors import InputError, MissingComponentError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.facts import MANY, EngineFacts, EngineKind, LaunchOptions, Place, ServedModel

__all__ = ["check_setting", "choose_engine", "engine_registry", "rank_of"]


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

    ``auto`` takes the first that reads the model's format, heeds every option that was given, is installed, and has the
    memory: by rank for this machine's processor, the format and the streams asked for, and before that by what was
    measured here with this model (``speed.py``). Engines of other packages that state no rank come last.
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

    options = options or LaunchOptions()
    place: Place = "gpu" if has_gpu() else "cpu"
    many = (options.concurrency or 1) >= MANY
    ranked = [(engine, *rank_of(engine.facts, model, place, many)) for engine in engines if engine.facts.is_process]
    ranked = sorted((one for one in ranked if one[1] > 0), key=lambda one: -one[1])
    measured = _measured(model, options, [engine.facts.name for engine, _, _ in ranked], many)
    if measured is not None:
        ranked.sort(key=lambda one: one[0].facts.name != measured[0])
    against: dict[str, ZhiluError] = {}
    for engine, _, because in ranked:
        name = engine.facts.name
        why_not = objection(engine, model, options, freed)
        if why_not is None:
            is_measured = measured is not None and measured[0] == name
            return name, _reason(model, place, measured[1] if measured and is_measured else because, against)
        if why_not.code == BAD_ADAPTER:
            raise why_not  # true of every engine: looking on would only bury it
        against[name] = why_not
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


def rank_of(facts: EngineFacts, model: ServedModel, place: Place, many: bool = False) -> tuple[float, T | None]:
    """How much ``auto`` prefers an engine for a model, and why where that is said.

    Below every stated rank where none is: whoever installed that package meant to use it.
    """
    wide = processor().is_wide
    for preference in facts.preferences:
        if preference.fits(place, model.format, many, wide):
            by_processor = preference.wide is not None
            return preference.rank, _with_processor(preference.reason) if by_processor else preference.reason
    return (facts.rank.get(place, 0) if facts.rank else 0.5), None


def _with_processor(reason: T) -> T:
    """The reason, and what this machine has, so that a person can check it."""
    here = processor()
    if not here.flags:
        return T(
            f"{reason.en} (this system does not tell its processor's instruction sets)",
            f"{reason.zh}（这个系统不说明处理器的指令集）",
        )
    name = here.name or platform.machine()
    return T(f"{reason.en} (here: {name} with {here.sets})", f"{reason.zh}（本机：{name}，{here.sets}）")


def _measured(model: ServedModel, options: LaunchOptions, engines: list[str], many: bool) -> tuple[str, T] | None:
    """The engine that was fastest here with this model; None where fewer than two were measured."""
    from zhilu.serving.speed import fastest, read_speeds

    if model.path is None or options.home is None or options.precision is not None:
        return None  # figures are of the engines' own precisions
    return fastest(read_speeds(options.home, model.path), engines, many)


def _reason(model: ServedModel, place: Place, because: T | None, against: Mapping[str, ZhiluError]) -> T:
    where = T("a GPU", "GPU") if place == "gpu" else T("a CPU", "CPU")
    if because is None:
        en = f"the first choice on {where.en} of those that read {model.format} and take what was asked"
        zh = f"在 {where.zh} 上，它是能读 {model.format} 并满足要求的首选"
    else:
        en, zh = f"the first choice on {where.en}: {because.en}", f"在 {where.zh} 上的首选：{because.zh}"
    if against:
        en += "; passed over: " + " ".join(f"{name} ({why.message.en})" for name, why in against.items())
        zh += "；略过：" + "".join(f"{name}（{why.message.zh}）" for name, why in against.items())
    return T(en, zh)
