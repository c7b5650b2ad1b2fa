"""``zhilu jobs``."""

from __future__ import annotations

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.jobs.base import Job
from zhilu.jobs.follow import follow
from zhilu.jobs.store import JobStore
from zhilu.messages import T

__all__ = ["jobs"]

_STATUS = {
    "queued": T("queued", "排队中"),
    "running": T("running", "运行中"),
    "done": T("done", "完成"),
    "failed": T("failed", "失败"),
    "cancelled": T("cancelled", "已取消"),
}


@click.group()
def jobs() -> None:
    """Long work: list, follow, cancel. 长任务：列出、跟踪、取消。"""


@jobs.command("list")
@click.option("--kind", help="only this kind 只看这一类")
@click.option("--status", type=click.Choice(list(_STATUS)))
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@json_option
@pass_context_obj
def list_jobs(context: Context, kind: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """Jobs, newest first. 任务列表，最新的在前。"""
    store = JobStore(context)
    store.recover()
    found = store.list(kind, status, limit)
    if as_json:
        echo_json([job.model_dump(mode="json") for job in found])
        return
    columns = (T("id", "编号"), T("kind", "类型"), T("title", "标题"), T("status", "状态"), T("done", "进度"))
    rows = [(j.id, j.kind, j.title.say(), _STATUS[j.status].say(), f"{j.progress:.0%}") for j in found]
    table(columns, rows, empty=T("No jobs yet.", "还没有任务。"))


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@click.option("--follow", "following", is_flag=True, help="until it ends 直到结束")
@json_option
@pass_context_obj
def show_job(context: Context, job_id: str, following: bool, as_json: bool) -> None:
    """One job; exit code 1 if it failed. 查看一个任务；失败时退出码为 1。"""
    store = JobStore(context)
    store.recover()
    job = follow(store, job_id, quiet=as_json) if following else store.get(job_id)
    if as_json:
        echo_json(job.model_dump(mode="json"))
    else:
        _print(job)
    if job.status == "failed":
        click.get_current_context().exit(1)


@jobs.command("cancel")
@click.argument("job_id", metavar="ID")
@json_option
@pass_context_obj
def cancel_job(context: Context, job_id: str, as_json: bool) -> None:
    """Ask a job to stop. 取消一个任务。"""
    _say(JobStore(context).cancel(job_id), as_json)


@jobs.command("retry")
@click.argument("job_id", metavar="ID")
@json_option
@pass_context_obj
def retry_job(context: Context, job_id: str, as_json: bool) -> None:
    """Run a failed or cancelled job again. 重新运行失败或已取消的任务。"""
    _say(JobStore(context).retry(job_id), as_json)


@jobs.command("logs")
@click.argument("job_id", metavar="ID")
@click.option("--follow", "following", is_flag=True, help="until it ends 直到结束")
@json_option
@pass_context_obj
def job_logs(context: Context, job_id: str, following: bool, as_json: bool) -> None:
    """The output of the worker. 任务进程的输出。"""
    store = JobStore(context)
    if following and not as_json:
        _tail(store, job_id)
        return
    if following:
        store.wait(job_id)
    text = store.log_text(job_id)
    if as_json:
        echo_json({"id": job_id, "path": str(store.log_path(job_id)), "text": text})
    else:
        click.echo(text, nl=False)


def _tail(store: JobStore, job_id: str) -> None:
    path, shown = store.log_path(job_id), 0
    while True:
        job = store.wait(job_id, timeout=0.5)
        if path.exists():
            with path.open("rb") as file:
                file.seek(shown)
                new = file.read()
            shown += len(new)
            click.echo(new.decode("utf-8", errors="replace"), nl=False)
        if job.ended:
            return


def _say(job: Job, as_json: bool) -> None:
    if as_json:
        echo_json(job.model_dump(mode="json"))
        return
    said = T("it will stop soon", "即将停止") if job.cancel_requested and not job.ended else _STATUS[job.status]
    click.echo(f"{job.id}: {said.say()}")


def _print(job: Job) -> None:
    click.echo(f"{job.title.say()}  ({job.kind}, {job.id})")
    stage = f" · {job.stage.say()}" if job.stage else ""
    click.echo(f"{_STATUS[job.status].say()} {job.progress:.0%}{stage} {job.detail}".rstrip())
    if job.error:
        click.echo(T.of(job.error.get("messages") or job.error["message"]).say())
        if job.error.get("fix"):
            click.echo(f"→ {job.error['fix']}")
    for key, value in (job.result or {}).items():
        click.echo(f"  {key}: {value}")
