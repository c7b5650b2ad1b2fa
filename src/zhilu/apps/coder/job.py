"""Reading a repository, as a job: what was read is kept, so that a killed one goes on, and the next reads only what changed."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from zhilu.apps.coder.index.build import build
from zhilu.apps.coder.repos import CodeRepo, Repos
from zhilu.context import Context
from zhilu.errors import ConflictError, InputError
from zhilu.home import file_lock
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T

__all__ = ["CODE_INDEX", "index_now", "start_index"]

_DONE = ("read", "same", "gone")


def start_index(context: Context, repo: CodeRepo) -> Job:
    """The job that reads a repository for the first time, or again."""
    job = JobStore(context).submit(CODE_INDEX, {"repo": repo.id}, T(f"Read {repo.name}", f"读取 {repo.name}"))
    repos = Repos(context)
    repos.save(repos.get(repo.id).model_copy(update={"job_id": job.id}))
    return job


def index_now(context: Context, repo: CodeRepo, each: Any = lambda done, of, path: None) -> dict[str, int]:
    """The work itself.

    Raises:
        InputError: the folder is gone. ConflictError: another job reads it.
    """
    repos, root = Repos(context), Path(repo.root)
    if not root.is_dir():
        raise InputError(
            T(f"The folder {repo.root!r} is gone.", f"文件夹 {repo.root!r} 已不存在。"),
            fix=f"zhilu code remove {repo.name}",
        )
    with file_lock(repos.place(repo) / ".lock", blocking=False) as is_ours:
        if not is_ours:
            raise ConflictError(
                T(f"{repo.name!r} is being read already.", f"{repo.name!r} 正在读取。"), fix="zhilu jobs list"
            )
        done = build(root, repos.index(repo), each)
        files, symbols, lines = repos.index(repo).counts()
        now = {
            "indexed_at": datetime.now(timezone.utc), "num_files": files, "num_symbols": symbols, "num_lines": lines,
            "left_out": {why: n for why, n in sorted(done.items()) if why not in _DONE},
        }  # fmt: skip
        repos.save(repos.get(repo.id).model_copy(update=now))
    return dict(done)


def _run(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    repo = Repos(job.context).get(params["repo"])

    def each(done: int, of: int, path: str) -> None:
        job.progress(done / max(of, 1), T("Reading", "正在读取"), path[:80])

    return {"repo": repo.id, **index_now(job.context, repo, each)}


CODE_INDEX = JobKind("code-index", _run, resumable=True)
