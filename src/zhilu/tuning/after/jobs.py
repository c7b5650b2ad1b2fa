"""The kinds of job ``tune-merge`` and ``tune-export``: what follows a run takes minutes on a large model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.tuning.after.exports import ExportFormat, Precision, export_run
from zhilu.tuning.after.merge import Dtype, finished, merge_run, refuse_judge
from zhilu.tuning.base_model import require_trainer

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["TUNE_EXPORT", "TUNE_MERGE", "submit_export", "submit_merge"]


def submit_merge(context: Context, name: str, model: str | None = None, dtype: Dtype | None = None) -> Job:
    """
    Raises:
        MissingComponentError: what trains is not installed. NotFoundError, InputError: no finished run of this name.
    """
    require_trainer()
    refuse_judge(finished(context, name)[1])
    title = T(f"Merge {name}", f"合并 {name}")
    return JobStore(context).submit(TUNE_MERGE, {"run": name, "model": model, "dtype": dtype}, title)


def submit_export(
    context: Context, name: str, format: ExportFormat, precision: Precision = "f16", to: Path | None = None
) -> Job:
    """See ``submit_merge`` for errors."""
    require_trainer()
    refuse_judge(finished(context, name)[1])
    params = {"run": name, "format": format, "precision": precision, "to": str(to.absolute()) if to else None}
    return JobStore(context).submit(TUNE_EXPORT, params, T(f"Export {name} as {format}", f"导出 {name}（{format}）"))


def _merge(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    done = merge_run(job.context, params["run"], params.get("model"), params.get("dtype"), job.progress)
    return done.model_dump(mode="json")


def _export(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    to = Path(params["to"]) if params.get("to") else None
    done = export_run(job.context, params["run"], params["format"], params["precision"], to, job.progress)
    return done.model_dump(mode="json")


TUNE_MERGE = JobKind(name="tune-merge", run=_merge)
TUNE_EXPORT = JobKind(name="tune-export", run=_export)
