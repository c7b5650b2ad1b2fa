"""The catalogue as seen from this machine: what is already here, what fits, and why a model does not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from zhilu.jobs import JobStore
from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.models.catalog import CatalogModel, catalog
from zhilu.models.chosen import take_up
from zhilu.models.offers.elsewhere import get_elsewhere
from zhilu.models.pull import MODEL_PULL
from zhilu.models.store import ModelInfo, ModelStore

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Offer", "fit", "import_any", "offered"]

_FIELDS = (
    "name", "title", "group", "kind", "format", "parameters", "download_bytes", "memory_bytes", "license", "maker",
    "languages", "skills", "thinks", "hf", "modelscope",
)  # fmt: skip


class Offer(BaseModel):
    """A model of the catalogue here.

    Attributes:
        fits: enough memory and disk for it are free now; ``fit_reason`` says how much of both.
        installed: name of the model in the store that is this one, if there is one.
        job: id of the job that is pulling it.
        sources: where it can be had, in the order in which they are asked.
    """

    name: str
    title: str
    what: Text
    group: str
    kind: str
    format: str
    parameters: int
    download_bytes: int
    memory_bytes: int
    license: str
    maker: str
    languages: list[str]
    skills: list[str]
    thinks: bool
    hf: str | None
    modelscope: str | None
    fits: bool
    fit_reason: Text
    installed: str | None
    job: str | None
    sources: list[str]


def offered(context: Context) -> list[Offer]:
    """Every model of the catalogue, in its order."""
    from zhilu.models.sources import sources

    store, there = ModelStore(context), sources(context.settings)
    here = {store.note(info.name).get("catalog"): info.name for info in store.list() if not info.embedded}
    names = {info.name for info in store.list()}
    pulls = {
        job.params.get("repo"): job.id
        for job in JobStore(context).list(kind=MODEL_PULL.name, status=("queued", "running"))
    }
    rows = []
    for model in catalog().models:
        fits, reason = fit(context, model)
        facts: dict[str, Any] = {name: getattr(model, name) for name in _FIELDS}
        facts["languages"], facts["skills"] = list(model.languages), list(model.skills)
        ways = [n for n in catalog().order if n in there and there[n].place_of(model) is not None]
        installed = here.get(model.name) or (model.name if model.name in names else None)
        rows.append(
            Offer(
                **facts,
                what=model.what,
                fits=fits,
                fit_reason=reason,
                installed=installed,
                job=pulls.get(model.name),
                sources=ways,
            )
        )
    return rows


def fit(context: Context, model: CatalogModel) -> tuple[bool, T]:
    """Whether the memory and the disk that are free now are enough for a model, and why."""
    import shutil

    import psutil

    memory = int(psutil.virtual_memory().available)
    disk = shutil.disk_usage(context.home.models).free
    need = f"{model.memory_bytes / 1e9:.1f} GB", f"{memory / 1e9:.1f} GB"
    if model.memory_bytes > memory:
        return False, T(f"needs {need[0]} of memory, {need[1]} are free", f"需要 {need[0]} 内存，空闲 {need[1]}")
    if model.download_bytes * 1.1 > disk:
        gb = f"{model.download_bytes / 1e9:.1f} GB", f"{disk / 1e9:.1f} GB"
        return False, T(f"needs {gb[0]} of disk, {gb[1]} are free", f"需要 {gb[0]} 磁盘，空闲 {gb[1]}")
    return True, T(f"fits: {need[0]} of {need[1]} free memory", f"放得下：需要 {need[0]}，空闲内存 {need[1]}")


def import_any(context: Context, path: str, name: str | None = None) -> ModelInfo:
    """A folder or file of this machine, or the name of a model that Ollama or LM Studio has here. It answers from now on
    where only zhilu-nano did (see ``take_up``).

    Raises:
        As ``ModelStore.import_folder`` and ``get_elsewhere``.
    """
    store = ModelStore(context)
    looks_like_path = Path(path).expanduser().exists() or path.startswith((".", "/", "~")) or "\\" in path
    if looks_like_path:
        info = store.import_folder(path, name)
    else:
        found = get_elsewhere(path)
        info = store.link_files(
            name or found.suggested, found.files, source=found.app, origin=found.name, sha256=found.sha256
        )
    take_up(context, info, T("it was imported, and no other was chosen", "它是导入的，且没有选定别的模型"))
    return info
