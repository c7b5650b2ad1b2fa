"""Job kind ``model-pull``: brings a model from a source into the store.

It can be killed and continues where it stopped.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.errors import (
    CancelledByUser,
    ConflictError,
    InputError,
    NotFoundError,
    UnsupportedError,
    ZhiluError,
    nearest,
)
from zhilu.home import atomic_write, file_lock, folder_bytes
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models.catalog import catalog
from zhilu.models.check import INDEX, PICKLES, is_model_file
from zhilu.models.chosen import take_up
from zhilu.models.sources import ModelSource, Remote, RemoteFile, source_for
from zhilu.models.sources.choose import checked_look, choose_source
from zhilu.models.store import ModelStore, check_name

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["MODEL_PULL", "bring", "choose_files", "run_pull", "submit_pull"]

_ORDER = ".pull.json"  # in the incoming folder: what it is a pull of
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_STOP = 5.0  # seconds that a cancelled download gets to end; it is cut off after that, with the process
_SPARE = 1.02  # of the download's size, for file system overhead


def submit_pull(
    context: Context,
    source: str,
    repo: str,
    revision: str | None = None,
    name: str | None = None,
    file: str | None = None,
) -> Job:
    """Check what can be checked here and start the job.

    Args:
        source: a source's name, or ``auto``: for a model of the catalogue the first that answers.
        repo: a model of the catalogue, or what the source calls a place (``OWNER/NAME`` on a hub).
        file: of a repository with several GGUF files, the one to take.

    Raises:
        NotFoundError: no such source.
        InputError: no place of that source, or an impossible name.
        ConflictError: the name is taken, or a job is pulling it.
        UnreachableError: the setting ``offline`` is on.
    """
    known = catalog().find(repo)
    if source == "auto" and known is None:
        source = "hf"  # a place that the catalogue does not name
    title = T(f"Pull {repo}", f"拉取 {repo}")
    if source != "auto":
        facts = source_for(source, context.settings).facts
        if known is None and facts.places == "OWNER/NAME" and not _REPO.fullmatch(repo):
            raise InputError(
                T(
                    f"{repo!r} is not OWNER/NAME, and no model of the catalogue.",
                    f"{repo!r} 不是 OWNER/NAME 的形式，也不是目录中的模型。",
                ),
                param="repo",
                fix="zhilu model catalog",
            )
        title = T(f"Pull {repo} from {facts.title.en}", f"从 {facts.title.zh} 拉取 {repo}")
    name = check_name(name or repo.rstrip("/").split("/")[-1])
    ModelStore(context).refuse_taken(name)
    jobs = JobStore(context)
    for job in jobs.list(kind=MODEL_PULL.name, status=("queued", "running")):
        if job.params.get("name") == name:
            raise ConflictError(
                T(f"Job {job.id} is pulling {name!r} already.", f"任务 {job.id} 已经在拉取 {name!r}。"),
                param="name",
                fix=f"zhilu jobs show {job.id} --follow",
            )
    params = {"source": source, "repo": repo, "revision": revision, "name": name, "file": file}
    return jobs.submit(MODEL_PULL, params, title)


def run_pull(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    store = ModelStore(job.context)
    name = params["name"]
    with file_lock(job.context.home.run / f"model-{name}.lock"):
        if job.attempt > 1 and (store.folder / name).is_dir():
            return {"model": name}  # killed after the last step and before it could say so
        store.refuse_taken(name)
        done = bring(job, params)
    take_up(job.context, store.get(name), T("it was pulled, and no other was chosen", "它是拉取的，且没有选定别的模型"))
    return done


def bring(job: JobContext, params: dict[str, Any], part: tuple[float, float] = (0.0, 1.0)) -> dict[str, Any]:
    """Pull a model in the course of a job, which holds the model's lock.

    Args:
        params: as ``submit_pull`` stores them.
        part: of the job's progress that this takes, from and to.
    """
    store = ModelStore(job.context)
    name, repo = params["name"], params["repo"]
    step = _Step(job, *part)
    step.progress(0.0, T("Asking who has it", "查询来源"), repo)
    incoming = store.incoming(name)
    order = _prepare(incoming, params)
    source, place, remote, reason = _find(job, params, order)
    atomic_write(
        incoming / _ORDER,
        json.dumps({**order, "commit": remote.revision, "chosen": source.facts.name, "reason": reason.data()}),
    )
    known = catalog().find(repo)
    files = remote.files if known and known.files else choose_files(repo, remote, params.get("file"))
    total = sum(file.size for file in files) or (known.download_bytes if known else 0)
    _refuse_full_disk(incoming, total + source.facts.fetches_extra)
    job.log(f"{source.facts.name}: {reason.en}")
    job.log(f"{place}@{remote.revision}: {len(files)} files, {total / 1e6:.0f} MB")
    try:
        _download(step, source, place, remote.revision, files, incoming, total)
    except CancelledByUser as error:
        if error.code == "cancelled":
            shutil.rmtree(incoming, ignore_errors=True)  # a cancelled pull leaves nothing
        raise
    stage = T("Checking", "校验")
    _keep_model_files(incoming, {file.name for file in files})
    hashes = {file.name: file.sha256 for file in files if file.sha256}
    info = store.admit(
        name,
        incoming,
        source=source.facts.name,
        revision=remote.revision,
        origin=place,
        expected={**hashes, **(known.hashes if known else {})},
        catalogued=known,
        on_bytes=lambda done, of: step.progress(0.95 + 0.05 * done / max(of, 1), stage, f"{done / 1e6:.0f} MB"),
    )
    return {
        "model": info.name,
        "path": info.path,
        "size_bytes": info.size_bytes,
        "revision": remote.revision,
        "source": source.facts.name,
        "reason": reason.data(),
    }


class _Step:
    """A job's progress, as part of the whole."""

    def __init__(self, job: JobContext, begin: float, end: float) -> None:
        self.job, self.begin, self.end = job, begin, end

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        self.job.progress(self.begin + fraction * (self.end - self.begin), stage, detail)


def _find(job: JobContext, params: dict[str, Any], order: dict[str, Any]) -> tuple[ModelSource, str, Remote, T]:
    """The source, the place there, what it has, and why this source. A pull that goes on stays with the source and the
    revision that it began with."""
    settings, repo = job.context.settings, params["repo"]
    known = catalog().find(repo)
    named = order.get("chosen") or params["source"]
    revision = order.get("commit") or params["revision"]
    if named == "auto":
        assert known is not None
        chosen = choose_source(known, settings, job.log)
        return chosen.source, chosen.place, chosen.remote, chosen.reason
    source = source_for(named, settings)
    place = (known and source.place_of(known)) or repo
    remote = checked_look(known, source, place, revision) if known else source.look(place, revision)
    went_on = order.get("reason")
    return source, place, remote, T.of(went_on) if went_on else T("it was asked for", "由你指定")


MODEL_PULL = JobKind(name="model-pull", run=run_pull, resumable=True, light=True)


def choose_files(repo: str, remote: Remote, file: str | None = None) -> list[RemoteFile]:
    """The files to pull: config, tokenizer, card, and safetensors weights (once, where a repository has them twice), or
    one GGUF file (with all its parts, where it is split) and the card.

    Raises:
        UnsupportedError: the repository has neither.
        NotFoundError: it has no file of that name.
    """
    files = [entry for entry in remote.files if is_model_file(entry.name) and not entry.name.endswith(".gguf")]
    weights = [entry.name for entry in files if entry.name.endswith(".safetensors")]
    ggufs = [entry for entry in remote.files if entry.name.endswith(".gguf") and "/" not in entry.name]
    if file is not None or (ggufs and not weights):
        chosen = _choose_gguf(repo, ggufs, file)
        return chosen + [entry for entry in files if entry.name.upper().startswith(("README", "LICENSE"))]
    if not weights:
        others = [f.name for f in remote.files if f.name.endswith(PICKLES)]
        has = ", ".join(others[:3]) or "-"
        raise UnsupportedError(
            T(
                f"{repo!r} has no safetensors weights (it has: {has}). Pickle files can run code when opened; look for a "
                "repository or revision with safetensors.",
                f"{repo!r} 没有 safetensors 权重（它有：{has}）。pickle 文件在打开时可以执行代码；请选择带 safetensors 的仓库或版本。",
            ),
            param="repo",
            code="unsupported_weights",
        )
    # "consolidated.safetensors" and the like repeat the weights in another layout.
    indexed = any(entry.name == INDEX for entry in files)
    usual = [w for w in weights if w.startswith("model-" if indexed else "model.")]
    unwanted = set(weights) - set(usual) if usual else set()
    return [entry for entry in files if entry.name not in unwanted]


# Of several quantisations of a model, the one that most people take first: small, and hardly worse than the whole.
_GGUF_ORDER = ("q4_k_m", "q4_k_s", "q5_k_m", "q4_0", "q6_k", "q8_0", "q5_0", "q3_k_m", "f16", "bf16")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


def _choose_gguf(repo: str, ggufs: list[RemoteFile], file: str | None) -> list[RemoteFile]:
    """One GGUF file, or all parts of one that is split."""
    names = [entry.name for entry in ggufs]
    if file is not None and file not in names:
        close = nearest(file, names)
        listed = ", ".join(names[:6]) or "-"
        raise NotFoundError(
            T(
                f"{repo!r} has no GGUF file {file!r}."
                + (f" Did you mean {close!r}?" if close else f" It has: {listed}."),
                f"{repo!r} 没有 GGUF 文件 {file!r}。" + (f"是不是 {close!r}？" if close else f"它有：{listed}。"),
            ),
            param="file",
        )
    models = [name for name in names if not name.lower().startswith("mmproj")] or names
    by_kind = (name for kind in _GGUF_ORDER for name in models if kind in name.lower())
    taken = file or next(by_kind, models[0])
    stem = _SPLIT.sub("", taken)
    return [entry for entry in ggufs if entry.name == taken or (stem != taken and _SPLIT.sub("", entry.name) == stem)]


def _prepare(incoming: Path, params: dict[str, Any]) -> dict[str, Any]:
    """The incoming folder for this order; what another order left there is thrown away."""
    order = {key: params.get(key) for key in ("source", "repo", "revision", "file")}
    try:
        noted = json.loads((incoming / _ORDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = {}
    if incoming.exists() and {key: noted.get(key) for key in order} != order:
        shutil.rmtree(incoming)
    incoming.mkdir(parents=True, exist_ok=True)
    return noted if incoming.joinpath(_ORDER).exists() else order


def _refuse_full_disk(incoming: Path, total: int) -> None:
    free, needed = shutil.disk_usage(incoming).free, int(total * _SPARE) - folder_bytes(incoming)
    if needed > free:
        raise InputError(
            T(
                f"Not enough room: {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free at {str(incoming.parent)!r}.",
                f"磁盘空间不足：需要 {needed / 1e9:.1f} GB，{str(incoming.parent)!r} 只剩 {free / 1e9:.1f} GB。",
            ),
            code="disk_full",
            fix="zhilu model list",
        )


def _download(
    step: _Step,
    source: ModelSource,
    place: str,
    revision: str,
    files: list[RemoteFile],
    incoming: Path,
    total: int,
) -> None:
    """Fetch in a thread and report what lies on the disk: true for any source, whatever it does inside."""
    job = step.job
    total = max(total, 1)
    failure: list[Exception] = []

    def fetch() -> None:
        try:
            source.fetch(place, revision, [file.name for file in files], incoming, job.check)
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=fetch, name="pull", daemon=True)
    thread.start()
    begun, at_begin = time.monotonic(), folder_bytes(incoming)
    stage = T(f"Downloading from {source.facts.title.en}", f"从{source.facts.title.zh}下载")
    try:
        while thread.is_alive():
            thread.join(0.3)
            there = min(folder_bytes(incoming), total)
            speed = max(there - at_begin, 0) / max(time.monotonic() - begun, 0.1)
            left = f", {(total - there) / speed:.0f} s" if speed > 1e3 and there < total else ""
            detail = f"{there / 1e6:.0f} / {total / 1e6:.0f} MB, {speed / 1e6:.1f} MB/s{left}"
            step.progress(0.95 * there / total, stage, detail)
    except CancelledByUser:
        thread.join(_STOP)  # it is told by ``check`` too
        raise
    if failure:
        if isinstance(failure[0], ZhiluError):
            failure[0].fix = f"zhilu jobs retry {job.id}"  # what has arrived is kept
        raise failure[0]


def _keep_model_files(incoming: Path, wanted: set[str]) -> None:
    """Remove the sources' caches and notes."""
    for path in incoming.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in wanted and path.name != _ORDER:
            path.unlink()
