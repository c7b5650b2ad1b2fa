"""``zhilu kb add | sources | sync``: documents of this machine, and sources that a knowledge base is kept in step with."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError, NotFoundError, ZhiluError, error_body
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.jobs import Job
    from zhilu.rag.kb import KnowledgeBase
    from zhilu.rag.records import Document
    from zhilu.rag.sources import Member
    from zhilu.rag.sources.base import SourceOptions
    from zhilu.rag.sources.book import KbSource

__all__ = ["STATUS", "add", "print_documents", "sources", "sync"]

STATUS = {
    "queued": T("queued", "排队中"),
    "ingesting": T("reading", "读取中"),
    "ready": T("ready", "就绪"),
    "failed": T("failed", "失败"),
    "replaced": T("replaced", "已被新版本取代"),
}


@click.command("add")
@click.argument("name", metavar="KB")
@click.argument("files", nargs=-1, required=True, metavar="FILE|FOLDER|ADDRESS...")
@click.option(
    "--keep",
    type=click.IntRange(1, 44_640),
    metavar="MINUTES",
    help="read a folder or address again by itself 定期自动重新读取",
)
@click.option(
    "--pages",
    default=1,
    show_default=True,
    type=click.IntRange(1, 5000),
    help="most pages of a web site 网站最多读取的页数",
)
@click.option("--branch", help="of a Git repository Git 仓库的分支")
@click.option("--endpoint", metavar="URL", help="of an S3-compatible store S3 兼容存储的地址")
@click.option("--region", default="us-east-1", show_default=True, help="of an S3-compatible store S3 兼容存储的区域")
@click.option("--no-wait", is_flag=True, help="return at once; the job goes on 立即返回，任务在后台继续")
@json_option
@pass_context_obj
def add(
    context: Context, name: str, files: tuple[str, ...], keep: int | None, pages: int, branch: str | None,
    endpoint: str | None, region: str, no_wait: bool, as_json: bool,
) -> None:  # fmt: skip
    """Add files, folders, ZIP archives or addresses, and read them. 添加文件、目录、ZIP 压缩包或网址并读取。

    A file of a folder keeps its path in its name (docs/guide.md). A name that is there already gets a new version, which
    replaces the old one. 目录中的文件名保留路径；同名文件成为新版本，取代旧版本。

    \b
    Addresses 地址:
      https://host/guide/            a page; --pages 200: the site below it 网页，--pages 200 读取其下的站点
      https://host/name.git          a Git repository, also https://github.com/owner/name Git 仓库
      s3://bucket/folder             keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY 密钥取自环境变量
      confluence:export.zip          an HTML export of a Confluence space Confluence 空间的 HTML 导出

    What came from an address is kept in step by zhilu kb sync, a folder with --keep, too: what changed there is read again,
    what went there goes here. 来自网址的内容可用 zhilu kb sync 保持一致：那边改了就重读，那边删了这边也删。
    """
    from zhilu.rag.library import Library
    from zhilu.rag.sources.base import SourceOptions
    from zhilu.rag.sources.kinds import is_address

    found = Library(context).open(name)
    options = SourceOptions(branch=branch, pages=pages, endpoint=endpoint, region=region)
    kept = [f for f in files if is_address(f) or (keep and Path(f).is_dir())]
    plain = tuple(Path(f) for f in files if f not in kept)
    missing = [path for path in plain if not path.exists()]
    if missing:
        raise NotFoundError(
            T(f"There is no file or folder {str(missing[0])!r}.", f"没有文件或文件夹 {str(missing[0])!r}。"),
            param="files",
        )
    walked = [_add_source(context, found, address, options, keep, no_wait, quiet=as_json) for address in kept]
    added: dict[str, Any] = {"documents": [], "rejected": [], "duplicates": [], "job": None}
    after: list[Document] = []
    if plain:
        added, after = _add_files(context, found, plain, no_wait, as_json)
    if as_json:
        echo_json(added | ({"sources": [_with_job(s, j) for s, j in walked]} if walked else {}))
    else:
        if plain:
            print_documents(after)
        for source, _ in walked:
            _say_report(source)
    if added["rejected"] or any(d.status == "failed" for d in after) or any(s.error for s, _ in walked):
        raise click.exceptions.Exit(2 if added["rejected"] else 1)


@click.command("sources")
@click.argument("name", metavar="KB")
@click.option("--remove", metavar="SOURCE", help="keep in step with it no longer 不再与它保持一致")
@click.option("--documents", is_flag=True, help="with --remove: its documents go, too 同时删除它的文档")
@click.option(
    "--every",
    metavar="MINUTES",
    type=click.IntRange(0, 44_640),
    help="read all again by themselves; 0: not 定期自动重新读取，0 表示关闭",
)
@json_option
@pass_context_obj
def sources(context: Context, name: str, remove: str | None, documents: bool, every: int | None, as_json: bool) -> None:
    """What a knowledge base is kept in step with. 知识库与哪些来源保持一致。"""
    from zhilu.rag.library import Library
    from zhilu.rag.sources.book import SourceBook
    from zhilu.rag.sources.secrets import SourceSecrets

    book = SourceBook(Library(context).open(name))
    if documents and remove is None:
        raise InputError(T("--documents goes with --remove.", "--documents 要与 --remove 一起用。"), param="documents")
    if remove is not None:
        source = book.get(remove)
        gone = book.remove(source.id, with_documents=documents)
        SourceSecrets(context.home).set(source.address, None)
        if as_json:
            echo_json({"removed": source.id, "documents": gone})
        else:
            click.echo(
                T(
                    f"{source.address} is left, {gone} documents deleted.",
                    f"已移除 {source.address}，删除 {gone} 个文档。",
                ).say()
            )
        return
    if every is not None:
        for source in book.every():
            book.schedule(source.id, every or None)
    found = book.every()
    if as_json:
        echo_json([s.model_dump(mode="json") for s in found])
        return
    columns = (
        T("id", "编号"),
        T("kind", "类型"),
        T("address", "地址"),
        T("read", "上次读取"),
        T("every", "间隔"),
        T("note", "说明"),
    )
    rows = [
        (
            s.id,
            s.kind,
            s.address,
            (s.synced_at or "-")[:16],
            f"{s.every_minutes} min" if s.every_minutes else "-",
            _why(s),
        )
        for s in found
    ]
    table(columns, rows, empty=T("No source.", "没有来源。"))


@click.command("sync")
@click.argument("name", metavar="KB")
@click.argument("source", required=False)
@click.option("--no-wait", is_flag=True, help="return at once; the job goes on 立即返回，任务在后台继续")
@json_option
@pass_context_obj
def sync(context: Context, name: str, source: str | None, no_wait: bool, as_json: bool) -> None:
    """Read what changed at the sources, and delete what went there. 读取来源中变化的内容，删除来源中已不存在的。"""
    from zhilu.rag.library import Library
    from zhilu.rag.sources.book import SourceBook

    found = Library(context).open(name)
    book = SourceBook(found)
    wanted = [book.get(source)] if source else book.every()
    if not wanted:
        raise InputError(
            T(f"{found.name!r} has no source.", f"知识库 {found.name!r} 没有来源。"),
            fix=f"zhilu kb add {found.id} https://…",
        )
    done = [_walk(context, found, one, no_wait, quiet=as_json) for one in wanted]
    if as_json:
        echo_json([_with_job(s, j) for s, j in done])
    else:
        for one, _ in done:
            _say_report(one)
    if any(s.error for s, _ in done):
        raise click.exceptions.Exit(1)


def print_documents(documents: Sequence[Document]) -> None:
    columns = (T("id", "编号"), T("name", "名称"), T("status", "状态"), T("chunks", "片段"), T("note", "说明"))
    rows = []
    for d in documents:
        error = d.error or {}
        note = T.of(error["messages"]).say() if error.get("messages") else str(error.get("message", ""))
        rows.append((d.id, d.name, STATUS[d.status].say(), d.num_chunks or "", note))
    table(columns, rows, empty=T("No documents.", "没有文档。"))


# Sources ---------------------------------------------------------------------------------------------------------------


def _add_source(
    context: Context, kb: KnowledgeBase, address: str, options: SourceOptions, keep: int | None, no_wait: bool, *, quiet: bool
) -> tuple[KbSource, Job]:  # fmt: skip
    from zhilu.rag.sources.book import SourceBook
    from zhilu.rag.sources.secrets import SourceSecrets

    source = SourceBook(kb).add(address, options, keep)
    name, key = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if source.kind == "s3" and name and key:
        SourceSecrets(context.home).set(source.address, (name, key))
    return _walk(context, kb, source, no_wait, quiet=quiet)


def _walk(context: Context, kb: KnowledgeBase, source: KbSource, no_wait: bool, *, quiet: bool) -> tuple[KbSource, Job]:
    """Walk through it, and wait until what it brought is read."""
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow
    from zhilu.rag.sources.book import SourceBook
    from zhilu.rag.sources.sync import start_sync

    job = start_sync(context, kb, source)
    if not no_wait:
        job = follow(JobStore(context), job.id, quiet=quiet)
        if job.result is not None and job.result["ingest"] is not None:
            follow(JobStore(context), job.result["ingest"], quiet=quiet)
    return SourceBook(kb).get(source.id), job


def _with_job(source: KbSource, job: Job) -> dict[str, Any]:
    return {**source.model_dump(mode="json"), "job": job.id}


def _say_report(source: KbSource) -> None:
    if source.error is not None:
        click.echo(f"{source.address}: {_why(source)}", err=True)
        return
    if (r := source.report) is None:
        return
    click.echo(
        T(
            f"{source.address}: {r['added']} added, {r['changed']} changed, {r['removed']} removed, {r['same']} as they were,"
            f" {r['refused']} refused.",
            f"{source.address}：新增 {r['added']}，更新 {r['changed']}，删除 {r['removed']}，未变 {r['same']}，拒绝 {r['refused']}。",
        ).say()
    )
    for reason in r["reasons"]:
        click.echo(f"  {reason['name']}: {T.of(reason['error']['messages']).say()}", err=True)


def _why(source: KbSource) -> str:
    return T.of(source.error["messages"]).say() if source.error is not None else ""


# Files -----------------------------------------------------------------------------------------------------------------


def _add_files(
    context: Context, found: KnowledgeBase, files: tuple[Path, ...], no_wait: bool, as_json: bool
) -> tuple[dict[str, Any], list[Document]]:
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.rag.index.ingest import start_ingestion

    documents: dict[str, Document] = {}
    rejected: list[dict[str, Any]] = []
    duplicates: list[dict[str, str]] = []
    for member in _files(files):
        path = member.name
        try:
            if member.stream is None:
                raise member.error or InputError(T("Not a file.", "不是文件。"))
            document, is_new = found.add(member.stream, member.name, max_mb=context.settings.max_upload_mb)
        except ZhiluError as error:
            rejected.append({"name": str(path), "error": error_body(error)["error"]})
            click.echo(f"{path}: {error}", err=True)
            continue
        documents[document.id] = document
        if is_new and document.version > 1:
            said = T(
                f"{document.name}: version {document.version}, replaces the one before it once it is read",
                f"{document.name}：第 {document.version} 版，读取完成后取代上一版",
            )
            click.echo(said.say(), err=True)
        if not is_new and document.status != "queued":
            duplicates.append({"name": str(path), "document": document.id})
            said = T(f"{path}: already here as {document.name!r}", f"{path}：内容已存在，名为 {document.name!r}")
            click.echo(said.say(), err=True)
    job = start_ingestion(context, found, documents.values())
    if job is not None and not no_wait:
        raise_unless_done(follow(JobStore(context), job.id, quiet=as_json))
    after = [found.document(doc_id) for doc_id in documents]
    shown = {"documents": [d.model_dump() for d in after], "rejected": rejected, "duplicates": duplicates}
    return {**shown, "job": job.id if job is not None else None}, after


def _files(paths: tuple[Path, ...]) -> Iterator[Member]:
    """What to add, the files of archives one by one."""
    from zhilu.rag.sources import members_or_why

    for path, called in _named(paths):
        with path.open("rb") as stream:
            yield from members_or_why(stream, called)


def _named(paths: tuple[Path, ...]) -> list[tuple[Path, str]]:
    """``(file, name)``: a file that was named goes by its own name, and a file of a folder by its path from that folder's
    name on, as in a browser, so that two folders never replace each other's files. Where two files that were named have one
    name, that of their folder comes in front.
    """
    out: list[tuple[Path, str]] = []
    own = Counter(path.name for path in paths if not path.is_dir())
    for path in paths:
        if path.is_dir():
            out += [(p, (path.resolve().name / p.relative_to(path)).as_posix()) for p in _expand((path,))]
        elif own[path.name] > 1:
            out.append((path, f"{path.absolute().parent.name}/{path.name}"))
        else:
            out.append((path, path.name))
    return out


def _expand(paths: tuple[Path, ...]) -> list[Path]:
    """Files as given; a folder stands for all files below it that are not hidden.

    A symbolic link below a folder is passed over, and said: whoever made the folder (an unpacked archive, a checkout) could
    point it at any file of this person's.
    """
    out: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(
                p
                for folder, _, names in os.walk(path)  # which does not walk into linked folders
                for p in (Path(folder) / name for name in names)
                if not any(part.startswith(".") for part in p.relative_to(path).parts)
            )
            for link in (p for p in below if p.is_symlink()):
                said = T(
                    f"{link}: a symbolic link, passed over; name it to add it",
                    f"{link}：符号链接，已跳过；如需添加请直接写出它",
                )
                click.echo(said.say(), err=True)
            out += [p for p in below if p.is_file() and not p.is_symlink()]
        else:
            out.append(path)
    return out
