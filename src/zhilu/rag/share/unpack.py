"""A shared file taken in as a new knowledge base: the job kind ``kb-import``, which goes on at the document where it was stopped.

Whoever made the file is not trusted: sizes are counted while they are read, names are only names, offsets and vectors are
checked, and no code and no database of theirs is opened. Of what is in it, the originals are what counts: a document whose
index is wrong is read again from its original.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from zhilu.errors import (
    CancelledByUser,
    InputError,
    MissingComponentError,
    NotFoundError,
    TooLargeError,
    UnsupportedError,
)
from zhilu.home import file_lock
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.rag.index.embedding import NONE, embedder_of, refuse_unregistered
from zhilu.rag.index.ingest import start_ingestion
from zhilu.rag.index.publish import publish
from zhilu.rag.index.split import Chunk
from zhilu.rag.index.staging import has_chunks, stage_chunks
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library, checked_name
from zhilu.rag.load import Limits, Loaded
from zhilu.rag.openai.attached import Attachments
from zhilu.rag.openai.filters import Attributes
from zhilu.rag.share.format import ABOUT, Manifest, SharedDocument

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["IMPORT", "read_manifest", "start_import"]

_MOST_ENTRIES = 3 * 200_000 + 1
_MOST_READ = 256 * 2**20  # bytes of one document's text and chunks
_RATIO = 200  # unpacked to packed, beyond 8 MB
_OVERLAP = 8  # a document's chunks together may be this many times as long as its text
_MARK = "imported_by"
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # what we write; what unpacks others may take memory without end
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_LOADED = TypeAdapter(Loaded)
_ATTRIBUTES: TypeAdapter[Any] = TypeAdapter(Attributes)


def start_import(
    context: Context, path: Path, name: str | None = None, embedder: str | None = None, *, is_ours: bool = False
) -> tuple[Manifest, Job]:
    """What the file is, and the job that takes it in.

    Args:
        name: of the new knowledge base; the file's own by default, with a number where it is taken.
        embedder: instead of the one that the file's vectors were made with; the passages are then embedded anew.
        is_ours: the job deletes the file when it has ended.

    Raises:
        InputError: it is no such file. TooLargeError: an archive bomb. MissingComponentError: its embedder is not installed
            here; ``fix`` says how to do without.
    """
    about = read_manifest(path)
    _check_embedder(context, about, embedder)
    wanted = checked_name(name or about.name)
    params = {"path": str(path.resolve()), "name": wanted, "embedder": embedder, "is_ours": is_ours}
    title = T(f"Import the knowledge base {wanted}", f"导入知识库 {wanted}")
    return about, JobStore(context).submit("kb-import", params, title)


def read_manifest(path: Path) -> Manifest:
    """Raises InputError, TooLargeError as ``start_import``."""
    with _opened(path) as archive:
        return _manifest(archive)


def run_import(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    path = Path(params["path"])
    try:
        with _opened(path) as archive:
            about = _manifest(archive)
            embedder = _check_embedder(job.context, about, params["embedder"])
            kb = _target(job, about, params["name"], embedder)
            try:
                _fill(job, archive, about, kb, with_vectors=embedder == about.embedder)
            except Exception:
                if not _goes_on(job):  # half of a knowledge base is none
                    Library(job.context).remove(kb.id)
                raise
    finally:
        if params["is_ours"] and not _goes_on(job):
            path.unlink(missing_ok=True)
    started = start_ingestion(job.context, kb, kb.waiting())
    return {"kb": kb.id, "name": kb.name, "documents": len(kb.documents()), "ingest": started.id if started else None}


def _fill(job: JobContext, archive: zipfile.ZipFile, about: Manifest, kb: KnowledgeBase, *, with_vectors: bool) -> None:
    for number in range(about.num_documents):
        job.progress(number / about.num_documents, T("Taking in documents", "导入文档"), str(number + 1))
        try:
            with file_lock(kb.ingest_lock):  # nobody reads a document that is half taken in
                _take(job.context, archive, kb, number, with_vectors=with_vectors)
        except _DAMAGED as error:
            raise _broken(str(error)) from error


IMPORT = JobKind(name="kb-import", run=run_import, resumable=True)


def _goes_on(job: JobContext) -> bool:
    """Whether another attempt goes on with it: the machine shuts down, or another worker has the job."""
    try:
        job.check()
    except CancelledByUser as error:
        return error.code != "cancelled"
    return False


def _target(job: JobContext, about: Manifest, name: str, embedder: str) -> KnowledgeBase:
    """The knowledge base that this job fills: made by an attempt before, or now."""
    library = Library(job.context)
    for info in library.list():
        if info.error is None and library.open(info.id).database.meta(_MARK) == job.id:
            return library.open(info.id)
    kb = library.create(name, about.description, embedder, numbered=True)
    kb.database.set_meta(**{_MARK: job.id})
    return kb


def _take(context: Context, archive: zipfile.ZipFile, kb: KnowledgeBase, number: int, *, with_vectors: bool) -> None:
    try:
        shared = SharedDocument.model_validate_json(_bytes(archive, f"documents/{number}.json", _MOST_READ))
        member = archive.open(f"originals/{number}")
    except KeyError:
        return  # it was deleted while the file was made
    except (ValidationError, ValueError) as error:
        raise _broken(f"documents/{number}.json") from error
    with member:
        document, _ = kb.add(member, shared.name, max_mb=context.settings.max_upload_mb)
    if shared.file is not None:
        _note_file(kb, document.id, shared.file)
    if document.status == "ready" or shared.read is None:
        return
    if not has_chunks(kb, document.id):
        loaded, chunks = _checked(shared, number)
        stage_chunks(kb, document.id, loaded, chunks)
    if with_vectors and kb.dim:
        packed = sum(c[4] for c in shared.chunks) * kb.dim * 2
        _keep(kb, document.id, shared, _bytes(archive, f"vectors/{number}.f16", packed))
    if with_vectors or not kb.dim:
        publish(kb, document.id)  # else the job that reads documents embeds them


def _checked(shared: SharedDocument, number: int) -> tuple[Loaded, list[Chunk]]:
    """Raises InputError: what it says of its text cannot be."""
    try:
        loaded = _LOADED.validate_python(shared.read or {})
        long = len(loaded.text)
        spans = [*((c[0], c[1]) for c in shared.chunks), *((p.start, p.end) for p in loaded.pages)]
        if long > Limits().max_chars:
            raise ValueError("more text than a document may have")
        if not all(0 <= start <= end <= long for start, end in spans):
            raise ValueError("offsets beyond the text")
        if (
            sum(c[1] - c[0] for c in shared.chunks) > _OVERLAP * long + 10_000
        ):  # the same text again and again fills the disk
            raise ValueError("more passages than text")
        if not all(1 <= h.level <= 6 and 0 <= h.start <= long for h in loaded.outline):
            raise ValueError("a heading beyond the text")
    except ValueError as error:
        raise _broken(f"documents/{number}.json") from error
    return loaded, [Chunk(start, end, heading[:2000], page, 0) for start, end, heading, page, _ in shared.chunks]


def _keep(kb: KnowledgeBase, doc_id: str, shared: SharedDocument, raw: bytes) -> None:
    """Vectors by the hash of their text, half precision."""
    if len(raw) != sum(c[4] for c in shared.chunks) * kb.dim * 2:
        raise _broken("vectors")
    vectors = np.frombuffer(raw, np.float16).reshape(-1, kb.dim)
    if not np.isfinite(vectors).all():
        raise _broken("vectors")
    hashes = kb.database.rows("SELECT text_sha FROM chunks WHERE doc_id = ? ORDER BY ordinal", (doc_id,))
    known = [row["text_sha"] for row, chunk in zip(hashes, shared.chunks, strict=True) if chunk[4]]
    with kb.database.write() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO embeddings VALUES (?, ?)",
            [(sha, vector.tobytes()) for sha, vector in zip(known, vectors, strict=True)],
        )


def _note_file(kb: KnowledgeBase, doc_id: str, file: tuple[str, str, dict[str, Any]]) -> None:
    try:
        attributes = _ATTRIBUTES.validate_python(file[2])
    except ValidationError as error:
        raise _broken("attributes") from error
    Attachments(kb)
    with kb.database.write() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO attached_files SELECT ?, ?, id, ?, NULL, NULL, added_at FROM documents WHERE id = ?",
            (file[0][:300], file[1][:1000], json.dumps(attributes, ensure_ascii=False), doc_id),
        )


def _check_embedder(context: Context, about: Manifest, wanted: str | None) -> str:
    """The embedder of the new knowledge base; its vectors fit only one of the same name and size."""
    name = wanted or about.embedder
    try:
        refuse_unregistered(name)  # a stranger's file names no code
        embedder = embedder_of(context, name)
    except (MissingComponentError, NotFoundError) as error:
        if wanted is not None:
            raise
        raise MissingComponentError(
            T(
                f"Its vectors were made with the embedder {name!r}, which is not installed here. Import it with one that is: its"
                " passages are embedded anew.",
                f"其中的向量由向量模型 {name!r} 生成，而这里没有安装。可以改用已安装的向量模型导入，段落会重新计算向量。",
            ),
            code="embedder_missing",
            fix="zhilu kb import FILE --embedder auto",
        ) from error
    actual = (embedder.name, embedder.dim) if embedder is not None else (NONE, 0)
    if wanted is None and actual[1] != about.dim:
        raise InputError(
            T(
                f"Its vectors have {about.dim} numbers, those of {name!r} here {actual[1]}.",
                f"其中的向量有 {about.dim} 维，而这里的 {name!r} 是 {actual[1]} 维。",
            ),
            code="embedder_differs",
            fix="zhilu kb import FILE --embedder auto",
        )
    return actual[0]


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise InputError(T(f"There is no file {str(path)!r}.", f"没有文件 {str(path)!r}。")) from None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _no_such() from error
    with archive:
        entries = archive.infolist()
        if any(e.compress_type not in _METHODS for e in entries):
            raise _no_such()
        packed = max(sum(e.compress_size for e in entries), 1)
        size = sum(e.file_size for e in entries)
        if len(entries) > _MOST_ENTRIES or (size > 8 * 2**20 and size / packed > _RATIO):
            raise TooLargeError(
                T(
                    f"This file would unpack to {size / 2**20:.0f} MB in {len(entries)} parts: refused as an archive bomb.",
                    f"这个文件解压后达 {size / 2**20:.0f} MB、{len(entries)} 个部分：按压缩炸弹拒绝。",
                ),
                code="archive_bomb",
            )
        try:
            yield archive
        except _DAMAGED as error:
            raise _broken(str(error)) from error


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    try:
        raw = json.loads(_bytes(archive, ABOUT, 1 << 20))
    except (KeyError, ValueError) as error:
        raise _no_such() from error
    if isinstance(raw, dict) and isinstance(raw.get("format"), int) and raw["format"] > 1:
        raise UnsupportedError(
            T("This file was made by a later version of Zhilu.", "这个文件由更新版本的指路生成。"),
            code="newer_format",
            fix="zhilu --version",
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        raise _broken(ABOUT) from error


def _bytes(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A part whole; KeyError where there is none. What it says of its size is not believed."""
    with archive.open(name) as part:
        raw = part.read(most + 1)
    if len(raw) > most:
        raise TooLargeError(
            T(f"{name} is larger than {most:,} bytes.", f"{name} 超过 {most:,} 字节。"), code="archive_bomb"
        )
    return raw


def _no_such() -> InputError:
    return InputError(
        T(
            "This is no shared knowledge base: 'zhilu kb export' makes one.",
            "这不是共享的知识库文件；用 “zhilu kb export” 可以生成。",
        ),
        code="no_shared_kb",
    )


def _broken(what: str) -> InputError:
    return InputError(
        T(f"The shared file is damaged ({what}). Ask for it again.", f"共享文件已损坏（{what}）。请重新获取。"),
        code="shared_file_broken",
    )
