"""Job kind ``model-pull``: a repository of a hub becomes a model of the store. Can be killed and goes on where it was."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.errors import CancelledByUser, ConflictError, InputError, UnsupportedError, ZhiluError
from zhilu.home import atomic_write, file_lock
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models.check import INDEX, PICKLES, is_model_file
from zhilu.models.hubs import Hub, Remote, RemoteFile, hub_for
from zhilu.models.store import ModelStore, check_name

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["MODEL_PULL", "choose_files", "run_pull", "submit_pull"]

_ORDER = ".pull.json"  # in the incoming folder: what it is a pull of
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_STOP = 5.0  # seconds that a cancelled download gets to end; it is cut off after that, with the process
_SPARE = 1.02  # of the download's size, for file system overhead


def submit_pull(context: Context, source: str, repo: str, revision: str | None = None, name: str | None = None) -> Job:
    """Check what can be checked here and start the job.

    Raises:
        InputError: no ``OWNER/NAME``, or an impossible name.
        ConflictError: the name is taken, or a job is pulling it.
        UnreachableError: the setting ``offline`` is on.
    """
    if not _REPO.fullmatch(repo):
        raise InputError(
            T(f"{repo!r} is not OWNER/NAME.", f"{repo!r} 不是 OWNER/NAME 的形式。"),
            param="repo",
            fix="zhilu model pull Qwen/Qwen3-0.6B",
        )
    hub = hub_for(source, context.settings)
    name = check_name(name or repo.split("/")[1])
    ModelStore(context).refuse_taken(name)
    jobs = JobStore(context)
    for job in jobs.list(kind=MODEL_PULL.name, status=("queued", "running")):
        if job.params.get("name") == name:
            raise ConflictError(
                T(f"Job {job.id} is pulling {name!r} already.", f"任务 {job.id} 已经在拉取 {name!r}。"),
                param="name",
                fix=f"zhilu jobs show {job.id} --follow",
            )
    params = {"source": source, "repo": repo, "revision": revision, "name": name}
    return jobs.submit(MODEL_PULL, params, T(f"Pull {repo} from {hub.title}", f"从 {hub.title} 拉取 {repo}"))


def run_pull(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    store = ModelStore(job.context)
    name, repo = params["name"], params["repo"]
    hub = hub_for(params["source"], job.context.settings)
    with file_lock(job.context.home.run / f"model-{name}.lock"):
        if job.attempt > 1 and (store.folder / name).is_dir():
            return {"model": name}  # killed after the last step and before it could say so
        store.refuse_taken(name)
        job.progress(0.0, T(f"Asking {hub.title}", f"查询 {hub.title}"), repo)
        incoming = store.incoming(name)
        order = _prepare(incoming, params)
        remote = hub.look(repo, order.get("commit") or params["revision"])
        atomic_write(incoming / _ORDER, json.dumps({**order, "commit": remote.revision}))
        files = choose_files(repo, remote)
        total = sum(file.size for file in files)
        _refuse_full_disk(incoming, total)
        job.log(f"{repo}@{remote.revision}: {len(files)} files, {total / 1e6:.0f} MB")
        try:
            _download(job, hub, repo, remote.revision, files, incoming)
        except CancelledByUser as error:
            if error.code == "cancelled":
                shutil.rmtree(incoming, ignore_errors=True)  # a cancelled pull leaves nothing
            raise
        stage = T("Checking", "校验")
        _keep_model_files(incoming)
        hashes = {file.name: file.sha256 for file in files if file.sha256}
        info = store.admit(
            name,
            incoming,
            source=params["source"],
            revision=remote.revision,
            origin=repo,
            expected=hashes,
            on_bytes=lambda done, of: job.progress(0.95 + 0.05 * done / max(of, 1), stage, f"{done / 1e6:.0f} MB"),
        )
    return {"model": info.name, "path": info.path, "size_bytes": info.size_bytes, "revision": remote.revision}


MODEL_PULL = JobKind(name="model-pull", run=run_pull, resumable=True, light=True)


def choose_files(repo: str, remote: Remote) -> list[RemoteFile]:
    """The files to pull: config, tokenizer, card, and safetensors weights (once, where a repository has them twice).

    Raises:
        UnsupportedError: the repository has no safetensors.
    """
    files = [file for file in remote.files if is_model_file(file.name)]
    weights = [file.name for file in files if file.name.endswith(".safetensors")]
    if not weights:
        others = [f.name for f in remote.files if f.name.endswith((*PICKLES, ".gguf"))]
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
    indexed = any(file.name == INDEX for file in files)
    usual = [w for w in weights if w.startswith("model-" if indexed else "model.")]
    unwanted = set(weights) - set(usual) if usual else set()
    return [file for file in files if file.name not in unwanted]


def _prepare(incoming: Path, params: dict[str, Any]) -> dict[str, Any]:
    """The incoming folder for this order; what another order left there is thrown away."""
    order = {key: params[key] for key in ("source", "repo", "revision")}
    try:
        noted = json.loads((incoming / _ORDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = {}
    if incoming.exists() and {key: noted.get(key) for key in order} != order:
        shutil.rmtree(incoming)
    incoming.mkdir(parents=True, exist_ok=True)
    return noted if incoming.joinpath(_ORDER).exists() else order


def _refuse_full_disk(incoming: Path, total: int) -> None:
    free, needed = shutil.disk_usage(incoming).free, int(total * _SPARE) - _bytes_in(incoming)
    if needed > free:
        raise InputError(
            T(
                f"Not enough room: {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free at {str(incoming.parent)!r}.",
                f"磁盘空间不足：需要 {needed / 1e9:.1f} GB，{str(incoming.parent)!r} 只剩 {free / 1e9:.1f} GB。",
            ),
            code="disk_full",
            fix="zhilu model list",
        )


def _download(job: JobContext, hub: Hub, repo: str, revision: str, files: list[RemoteFile], incoming: Path) -> None:
    """Fetch in a thread and report what lies on the disk: true for any client, whatever it does inside."""
    total = max(sum(file.size for file in files), 1)
    failure: list[Exception] = []

    def fetch() -> None:
        try:
            hub.fetch(repo, revision, [file.name for file in files], incoming, job.check)
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=fetch, name="pull", daemon=True)
    thread.start()
    begun, at_begin = time.monotonic(), _bytes_in(incoming)
    try:
        while thread.is_alive():
            thread.join(0.3)
            there = min(_bytes_in(incoming), total)
            speed = max(there - at_begin, 0) / max(time.monotonic() - begun, 0.1)
            detail = f"{there / 1e6:.0f} / {total / 1e6:.0f} MB, {speed / 1e6:.1f} MB/s"
            job.progress(0.95 * there / total, T("Downloading", "下载"), detail)
    except CancelledByUser:
        thread.join(_STOP)  # it is told by ``check`` too
        raise
    if failure:
        if isinstance(failure[0], ZhiluError):
            failure[0].fix = f"zhilu jobs retry {job.id}"  # what has arrived is kept
        raise failure[0]


def _bytes_in(folder: Path) -> int:
    return sum(_size(path) for path in folder.rglob("*"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0  # renamed by the download between the two calls


def _keep_model_files(incoming: Path) -> None:
    """Remove the clients' caches and notes."""
    for path in incoming.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not is_model_file(path.name) and path.name != _ORDER:
            path.unlink()
