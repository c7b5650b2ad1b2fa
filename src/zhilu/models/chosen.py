"""The model that answers when a request names none: the setting, else what the gateway was started with, else the first model
that arrived (fetched by itself, or brought by a person), else zhilu-nano."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from zhilu.client import gateway_model
from zhilu.home import Home, atomic_write
from zhilu.messages import T
from zhilu.models.apis.store import api_of
from zhilu.models.store import EMBEDDED, ModelInfo, ModelStore

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = [
    "AUTO",
    "DefaultModel",
    "check_setting",
    "default_model",
    "first_model",
    "named_model",
    "note_first_model",
    "take_up",
]

AUTO = "auto"
_NOTE = ".first-model.json"  # beside the models


class DefaultModel(NamedTuple):
    name: str
    reason: T


def default_model(context: Context) -> DefaultModel:
    """Asked anew at each use: a first model that arrives is used from the next request on. Cheap."""
    wanted = context.settings.model
    if wanted != AUTO:
        return DefaultModel(wanted, T("the setting model says so", "由设置 model 指定"))
    if context.settings.base_url:
        return DefaultModel(AUTO, T("the server at base_url chooses", "由 base_url 处的服务选择"))
    started = gateway_model(context.home.run)
    if started and started != AUTO:
        return DefaultModel(started, T("zhilu up was started with it", "zhilu up 启动时指定"))
    noted = first_model(context.home)
    if noted is not None:
        return DefaultModel(noted["model"], T.of(noted["reason"]))
    return DefaultModel(
        EMBEDDED,
        T(
            "no other model has arrived yet: zhilu-nano is small enough to come with the program, and knows little",
            "还没有别的模型：zhilu-nano 小到可以随程序附带，懂得不多",
        ),
    )


def check_setting(context: Context, name: str) -> None:
    """What the setting ``model`` may name.

    Raises:
        NotFoundError: neither a model of this machine, nor an adapter, nor of an API that was added; another server's
            models are not ours to know.
    """
    if name == AUTO or context.settings.base_url is not None or (context.home.adapters / name).is_dir():
        return
    if api_of(context.home, name) is not None:
        return
    ModelStore(context).path_of(name)


def named_model(context: Context, name: str | None) -> str:
    """The model of a request: the one it names; none, or ``auto``, is the one that runs."""
    return name if name and name != AUTO else default_model(context).name


def first_model(home: Home) -> dict[str, Any] | None:
    """What ``note_first_model`` noted, while that model is in the store."""
    try:
        noted = json.loads((home.models / _NOTE).read_text(encoding="utf-8"))
        return noted if (home.models / str(noted["model"])).is_dir() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_first_model(
    home: Home, name: str, reason: T, measured: dict[str, Any] | None, *, brought: bool = False
) -> None:
    """From now on ``name`` answers where nobody names a model; not in place of one that a person brought meanwhile.

    Args:
        measured: of its first start: ``prompt_tokens``, ``seconds``, ``engine``; None: no gateway ran that could start it.
        brought: by a person, not fetched by itself.
    """
    before = first_model(home)
    if not brought and before is not None and before.get("brought"):
        return
    note = {
        "model": name,
        "brought": brought,
        "reason": reason.data(),
        "measured": measured,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    atomic_write(home.models / _NOTE, json.dumps(note, ensure_ascii=False, indent=2) + "\n")


def take_up(context: Context, info: ModelInfo, reason: T) -> bool:
    """A model that a person brought answers from now on, where zhilu-nano would: nobody chose a model and none came before.

    One that is no larger than zhilu-nano, does not chat, cannot run, or whose weights alone exceed this machine's memory
    stays what it is: there for who names it.

    Args:
        reason: how it came, as shown beside the default model.
    """
    if context.settings.model != AUTO or default_model(context).name != EMBEDDED:
        return False
    if gateway_model(context.home.run) not in (None, AUTO):  # zhilu-nano by its name
        return False
    least = ModelStore(context).get(EMBEDDED).parameters
    if not info.supported or info.kind != "chat" or info.parameters <= least or info.size_bytes > _memory_bytes():
        return False
    note_first_model(context.home, info.name, reason, None, brought=True)
    return True


def _memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)
