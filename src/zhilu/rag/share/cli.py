"""``zhilu kb export`` and ``zhilu kb import``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj
from zhilu.context import Context
from zhilu.errors import ConflictError
from zhilu.messages import T

__all__ = ["export_kb", "import_kb"]


@click.command("export")
@click.argument("name", metavar="KB")
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), help="by default KB.zhilu-kb.zip 默认为 KB.zhilu-kb.zip"
)
@click.option("--force", is_flag=True, help="replace a file that is there 覆盖已有文件")
@json_option
@pass_context_obj
def export_kb(context: Context, name: str, to: Path | None, force: bool, as_json: bool) -> None:
    """A knowledge base as one file to give away: documents and index, no questions. 把知识库导出为一个文件。"""
    from zhilu.rag.library import Library
    from zhilu.rag.load import safe_name
    from zhilu.rag.share.pack import pack

    kb = Library(context).open(name)
    path = to or Path(safe_name(f"{kb.name}.zhilu-kb.zip"))
    if path.exists() and not force:
        raise ConflictError(T(f"{str(path)!r} is there already.", f"{str(path)!r} 已经存在。"), fix="--force")
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("wb") as file:
            for piece in pack(kb):
                file.write(piece)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    size = path.stat().st_size
    if as_json:
        echo_json({"kb": kb.id, "path": str(path.resolve()), "bytes": size})
        return
    click.echo(T(f"{path}: {size / 1e6:.1f} MB. Others add it with: zhilu kb import {path.name}",
                 f"{path}：{size / 1e6:.1f} MB。他人可以用 zhilu kb import {path.name} 导入。").say())  # fmt: skip


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="of the new knowledge base 新知识库的名称")
@click.option("--embedder", help="instead of the file's own 代替文件所用的向量模型")
@click.option("--no-wait", is_flag=True, help="return at once; the job goes on 立即返回，任务在后台继续")
@json_option
@pass_context_obj
def import_kb(
    context: Context, file: Path, name: str | None, embedder: str | None, no_wait: bool, as_json: bool
) -> None:
    """Take in a knowledge base that somebody exported. 导入他人导出的知识库。"""
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.rag.share.unpack import start_import

    about, job = start_import(context, file, name, embedder)
    if not no_wait:
        job = follow(JobStore(context), job.id, quiet=as_json)
        raise_unless_done(job)
        if job.result and job.result["ingest"]:
            raise_unless_done(follow(JobStore(context), job.result["ingest"], quiet=as_json))
    if as_json:
        echo_json(job.model_dump(mode="json"))
        return
    done = job.result or {"name": name or about.name, "documents": about.num_documents}
    click.echo(
        T(f"{done['name']}: {done['documents']} documents.", f"{done['name']}：{done['documents']} 个文档。").say()
    )
