"""``zhilu kb``: knowledge bases on the command line. Heavy parts are imported when a command runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.board.cli import evaluate, questions, runs
from zhilu.rag.share.cli import export_kb, import_kb
from zhilu.rag.sources.cli import STATUS, add, print_documents, sources, sync

if TYPE_CHECKING:
    from zhilu.rag.kb import KnowledgeBase

__all__ = ["kb"]


@click.group()
def kb() -> None:
    """Knowledge bases: ask your own documents. 知识库：向自己的文档提问。"""


@kb.command("create")
@click.argument("name")
@click.option("--description", default="", help="what it holds 内容说明")
@click.option("--embedder", help="model for vectors; none: words alone 向量模型；none 表示只按词检索")
@click.option("--store", help="where vectors are kept, see kb stores 向量库，见 kb stores")
@json_option
@pass_context_obj
def create(
    context: Context, name: str, description: str, embedder: str | None, store: str | None, as_json: bool
) -> None:
    """Create an empty knowledge base. 新建知识库。"""
    from zhilu.rag.library import Library

    info = Library(context).create(name, description, embedder, store).info()
    if as_json:
        echo_json(info.model_dump())
        return
    click.echo(
        T(
            f"Created {info.name!r} ({info.id}), embedder: {info.embedder}, store: {info.store}. Next: zhilu kb add {info.id} FILE…",
            f"已新建 {info.name!r}（{info.id}），向量模型：{info.embedder}，向量库：{info.store}。下一步：zhilu kb add {info.id} 文件…",
        ).say()
    )


@kb.command("stores")
@json_option
@pass_context_obj
def stores(context: Context, as_json: bool) -> None:
    """Where vectors can be kept, and what the others need. 可用的向量库，以及其他向量库需要什么。"""
    from zhilu.rag.stores.offers import store_offers

    offers = store_offers(context.settings)
    if as_json:
        echo_json([offer.model_dump(mode="json") for offer in offers])
        return
    ready = T("ready", "可用").say()
    columns = (T("store", "向量库"), T("what", "说明"), T("search", "检索"), T("here", "本机"))
    exact = {True: T("exact", "精确").say(), False: T("approximate", "近似").say()}
    rows = [(o.name, o.title.say(), exact[o.exact], ready if o.error is None else str(o.error["fix"])) for o in offers]
    table(columns, rows)


@kb.command("move")
@click.argument("name", metavar="KB")
@click.option("--store", required=True, help="where to, see kb stores 目标向量库，见 kb stores")
@click.option("--no-wait", is_flag=True, help="return at once; the job goes on 立即返回，任务在后台继续")
@json_option
@pass_context_obj
def move(context: Context, name: str, store: str, no_wait: bool, as_json: bool) -> None:
    """Move vectors to another store; nothing is embedded again. 把向量移到另一个向量库，不重新计算。

    The old store answers until the new one was checked (as many rows, the same nearest ones). A move that was stopped goes on
    where it was. 新库核对无误之前由旧库回答；中断后可以继续。
    """
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.rag.index.move import start_move
    from zhilu.rag.library import Library

    found = Library(context).open(name)
    job = start_move(context, found, store)
    if not no_wait:
        job = follow(JobStore(context), job.id, quiet=as_json)
        raise_unless_done(job)
    if as_json:
        echo_json(job.model_dump(mode="json"))
        return
    if job.result is not None:
        n = job.result["vectors"]
        click.echo(
            T(f"{found.name}: {n} vectors are in {store} now.", f"{found.name}：{n} 个向量现在在 {store} 里。").say()
        )
        if (kept := job.result["kept"]) is not None:
            said = T.of(kept["messages"])
            click.echo(
                T(f"The old store could not be emptied: {said.en}", f"旧向量库没有清空：{said.zh}").say(), err=True
            )


@kb.command("list")
@click.argument("name", metavar="[KB]", required=False)
@json_option
@pass_context_obj
def list_kbs(context: Context, name: str | None, as_json: bool) -> None:
    """Knowledge bases, the oldest first; of one, its documents with all versions. 知识库列表；指定一个时列出文档的各个版本。"""
    from zhilu.rag.library import Library

    if name is not None:
        _list_versions(Library(context).open(name), as_json)
        return
    found = Library(context).list()
    if as_json:
        echo_json([info.model_dump() for info in found])
        return
    columns = (
        T("id", "编号"), T("name", "名称"), T("documents", "文档"), T("chunks", "片段"), T("embedder", "向量模型"),
        T("size", "大小"),
    )  # fmt: skip
    rows = [(i.id, i.name, i.num_documents, i.num_chunks, i.embedder, f"{i.size_bytes / 1e6:.1f} MB") for i in found]
    table(columns, rows, empty=T("No knowledge base yet: zhilu kb create NAME", "还没有知识库：zhilu kb create 名称"))
    for info in found:
        if info.error is not None:
            said = T.of(info.error["messages"]).say()
            click.echo(
                T(f"{info.name}: {said}", f"{info.name}：{said}").say() + f"  {info.error['fix'] or ''}", err=True
            )


def _list_versions(found: KnowledgeBase, as_json: bool) -> None:
    documents = [(d, found.versions(d.id)) for d in found.documents()]
    if as_json:
        echo_json([{**d.model_dump(), "versions": [v.model_dump() for v in versions]} for d, versions in documents])
        return
    columns = (
        T("id", "编号"), T("name", "名称"), T("version", "版本"), T("added", "加入时间"), T("bytes", "字节"), T("status", "状态"),
    )  # fmt: skip
    rows = [
        (v.id, v.name, v.version, v.added_at, v.size_bytes, STATUS[v.status].say())
        for _, versions in documents
        for v in versions
    ]
    table(columns, rows, empty=T("No documents.", "没有文档。"))


@kb.command("repair")
@click.argument("name", metavar="KB")
@click.option("--no-wait", is_flag=True, help="return at once; the job goes on 立即返回，任务在后台继续")
@json_option
@pass_context_obj
def repair(context: Context, name: str, no_wait: bool, as_json: bool) -> None:
    """Make a damaged knowledge base whole, if need be from its originals. 修复损坏的知识库，必要时从原始文件重建。"""
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.rag import repair as mending

    done = mending.repair(context, name)
    if done.job is not None and not no_wait:
        raise_unless_done(follow(JobStore(context), done.job.id, quiet=as_json))
    if as_json:
        echo_json(done.model_dump())
        return
    n = done.num_documents
    said = {
        "recovered": T(
            f"{done.kb.name}: whole again, with {n} documents.", f"{done.kb.name}：已恢复完整，共 {n} 个文档。"
        ),
        "restored": T(
            f"{done.kb.name}: made anew from its originals, {n} documents.",
            f"{done.kb.name}：已从原始文件重建，共 {n} 个文档。",
        ),
    }
    click.echo(said[done.how].say())
    for lost in done.lost:
        click.echo(T(f"lost: {lost}", f"已丢失：{lost}").say(), err=True)
    if done.damaged_file:
        click.echo(T(f"The damaged file is kept: {done.damaged_file}", f"损坏的文件保留在：{done.damaged_file}").say())


@kb.command("show")
@click.argument("name", metavar="KB")
@json_option
@pass_context_obj
def show(context: Context, name: str, as_json: bool) -> None:
    """A knowledge base and its documents. 知识库及其文档。"""
    from zhilu.rag.index.ingest import requeue_stranded
    from zhilu.rag.library import Library

    found = Library(context).open(name)
    requeue_stranded(context, found)
    info, documents = found.info(), found.documents()
    if as_json:
        echo_json({**info.model_dump(), "documents": [d.model_dump() for d in documents]})
        return
    click.echo(f"{info.name} ({info.id})  {info.description}".rstrip())
    print_documents(documents)


@kb.command("search")
@click.argument("name", metavar="KB")
@click.argument("query")
@click.option("-k", default=5, show_default=True, type=click.IntRange(1, 50), help="passages 段落数")
@json_option
@pass_context_obj
def search(context: Context, name: str, query: str, k: int, as_json: bool) -> None:
    """The passages that fit a question best. 与问题最相关的段落。"""
    from zhilu.rag.index.embedding import embedder_of
    from zhilu.rag.library import Library
    from zhilu.rag.retrieve.search import retrieve

    found = Library(context).open(name)
    hits = retrieve(found, query, embedder_of(context, found.embedder), k=k).hits
    if as_json:
        echo_json({"hits": [h.model_dump() for h in hits]})
        return
    if not hits:
        click.echo(T("Nothing found.", "没有找到。").say())
    for number, hit in enumerate(hits, start=1):
        page = T(f", page {hit.page}", f"，第 {hit.page} 页").say() if hit.page else ""
        click.secho(f"[{number}] {hit.doc_name}{page}  {hit.heading}  {hit.score:.3f}", bold=True)
        click.echo("    " + " ".join(hit.text.split())[:300])


@kb.command("ask")
@click.argument("name", metavar="KB")
@click.argument("question")
@click.option("--model", help="by default the setting's 默认用设置中的模型")
@click.option("-k", type=click.IntRange(1, 50), help="passages in the prompt 放入提示的段落数")
@json_option
@pass_context_obj
def ask(context: Context, name: str, question: str, model: str | None, k: int | None, as_json: bool) -> None:
    """Answer a question from the documents, with citations. 根据文档回答，并注明出处。"""
    done = asyncio.run(_ask(context, name, question, model, k, show=not as_json))
    if as_json:
        echo_json(done)
        return
    click.echo()
    for citation in done["citations"]:
        if citation["cited"]:
            page = T(f", page {citation['page']}", f"，第 {citation['page']} 页").say() if citation["page"] else ""
            click.secho(f"[{citation['n']}] {citation['doc_name']}{page}  {citation['heading']}".rstrip(), dim=True)


async def _ask(
    context: Context, name: str, question: str, model: str | None, k: int | None, show: bool
) -> dict[str, Any]:
    from zhilu.client import connect
    from zhilu.rag.answer import answer
    from zhilu.rag.library import Library

    Library(context).open(name)  # before a model is started for it
    done: dict[str, Any] = {}
    async with connect(context) as client:
        async for event in answer(context, client, name, question, model=model, k=k):
            if event.name == "delta" and show:
                click.echo(event.data["text"], nl=False)
            done = event.data
    return done


@kb.command("remove")
@click.argument("name", metavar="KB")
@click.argument("documents", nargs=-1, metavar="[DOCUMENT]...")
@click.option("--yes", is_flag=True, help="do not ask 不再确认")
@json_option
@pass_context_obj
def remove(context: Context, name: str, documents: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove documents (by id or name), or the whole knowledge base. 删除文档（编号或名称），或整个知识库。"""
    from zhilu.rag.library import Library

    library = Library(context)
    kb_id = library.locate(name)
    if not documents:  # also one that is damaged and cannot be opened
        if not yes and not as_json:
            click.confirm(T(f"Delete {name}?", f"删除 {name}？").say(), abort=True)
        library.remove(kb_id)
        if as_json:
            echo_json({"kb": kb_id, "removed": [kb_id]})
        return
    found = library.open(kb_id)
    there = found.documents()
    own = Counter(d.name.rpartition("/")[2] for d in there)
    known = {
        last: d.id for d in there if own[last := d.name.rpartition("/")[2]] == 1
    }  # without folders, where it is clear
    known |= {key: d.id for d in there for key in (d.name, d.id)}
    missing = [d for d in documents if d not in known]
    if missing:
        raise InputError(
            T(f"No document {missing[0]!r} in {found.name!r}.", f"知识库 {found.name!r} 里没有文档 {missing[0]!r}。"),
            fix=f"zhilu kb show {found.id}",
        )
    what = ", ".join(documents)
    if not yes and not as_json:
        click.confirm(T(f"Delete {what}?", f"删除 {what}？").say(), abort=True)
    for document in documents:
        found.remove(known[document])
    if as_json:
        echo_json({"kb": found.id, "removed": [known[d] for d in documents]})


for command in (add, evaluate, export_kb, import_kb, questions, runs, sources, sync):
    kb.add_command(command)
