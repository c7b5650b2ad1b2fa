"""The shelf: all knowledge bases of a data home, one folder each (``kbs/<id>/kb.db`` and ``kbs/<id>/files/``)."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import (
    BusyError,
    ConflictError,
    DamagedError,
    InputError,
    NotFoundError,
    StorageError,
    UnreachableError,
    error_body,
    nearest,
)
from zhilu.home import file_lock, folder_bytes
from zhilu.messages import T
from zhilu.rag.card import read_card
from zhilu.rag.database import KbDatabase
from zhilu.rag.index.embedding import choose_embedder
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.records import KbInfo, utc_now
from zhilu.rag.stores import DEFAULT, STORES, StorePlace
from zhilu.rag.stores.offers import url_of

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Library"]

_ID = re.compile(r"[0-9a-f]{12}")
_open: dict[Path, tuple[int, KnowledgeBase]] = {}  # database file -> (inode, opened)
_lock = threading.Lock()

# Named here because ``Library.list`` hides the builtin inside the class.
Infos = list[KbInfo]
Ids = list[str]


class Library:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.folder = context.home.kbs

    def list(self) -> Infos:
        """All knowledge bases, the oldest first. One that cannot be opened stands among them with the reason (``error``)."""
        return sorted(map(self._info, self._ids()), key=lambda i: (i.created_at, i.id))

    def _info(self, kb_id: str) -> KbInfo:
        try:
            kb = self._opened(kb_id)
            if kb.database.damage is not None:
                raise kb.database.damage
            return kb.info()
        except (StorageError, BusyError, ConflictError) as error:
            card = read_card(self.folder / kb_id)
            return KbInfo(
                id=kb_id, name=card.get("name", kb_id), description=card.get("description", ""),
                embedder=card.get("embedder", "none"), dim=0, store=card.get("store", DEFAULT),
                num_documents=0, num_chunks=0,
                size_bytes=folder_bytes(self.folder / kb_id),
                created_at=card.get("created_at", ""), updated_at=card.get("created_at", ""),
                error=error_body(error)["error"],
            )  # fmt: skip

    def create(
        self,
        name: str,
        description: str = "",
        embedder: str | None = None,
        store: str | None = None,
        *,
        numbered: bool = False,
    ) -> KnowledgeBase:
        """A new, empty knowledge base. It remembers its embedder: vectors of two embedders cannot be compared; and its
        store, SQLite by default. ``numbered``: a name that is taken gets a number, also where two are made at once.

        Raises:
            InputError: the name is empty or longer than 100 characters. ConflictError: it is taken.
            MissingComponentError: the embedder or the store asked for is not installed.
            NotFoundError: no such store; names those there are.
        """
        name = checked_name(name)
        kind = STORES.get(store or DEFAULT)
        chosen, dim = choose_embedder(self.context, embedder)
        kb_id = secrets.token_hex(6)
        with file_lock(self.context.home.run / "kbs.lock"):
            if numbered:
                name = self.free_name(name)
            self._refuse_taken(name)
            fresh = self.folder / f".new-{kb_id}"
            (fresh / "files").mkdir(parents=True, mode=0o700)
            now = utc_now()
            with closing(KbDatabase(fresh / "kb.db")) as database:
                kind.open(StorePlace(database, fresh, dim, kb_id, url_of(kind, self.context.settings))).close()
                if kind.facts.name != DEFAULT:
                    database.set_meta(store=kind.facts.name)
                database.set_meta(
                    id=kb_id, name=name, description=description.strip(), embedder=chosen, dim=str(dim),
                    created_at=now, updated_at=now,
                )  # fmt: skip
            fresh.rename(self.folder / kb_id)
        kb = self._opened(kb_id)
        kb.write_card()
        return kb

    def open(self, name_or_id: str) -> KnowledgeBase:
        """
        Raises:
            NotFoundError: says which there are. DamagedError: it is damaged; ``fix`` repairs it.
        """
        return self._opened(self.locate(name_or_id))

    def locate(self, name_or_id: str) -> str:
        """The id of a knowledge base, also of one that cannot be opened.

        Raises:
            NotFoundError: says which there are.
        """
        if _ID.fullmatch(name_or_id) and (self.folder / name_or_id).is_dir():
            return name_or_id
        names = {info.name: info.id for info in self.list()}
        if name_or_id in names:
            return names[name_or_id]
        close = nearest(name_or_id, names)
        there = "、".join(names) if names else "-"
        raise NotFoundError(
            T(
                en=f"No knowledge base called {name_or_id!r}."
                + (f" Did you mean {close!r}?" if close else f" There are: {there}."),
                zh=f"没有名为 {name_or_id!r} 的知识库。" + (f"是不是 {close!r}？" if close else f"现有：{there}。"),
            ),
            fix="zhilu kb list",
        )

    def free_name(self, name: str) -> str:
        """``name``, with a number where there is one of that name. InputError as ``checked_name``."""
        name = checked_name(name)
        taken, number, free = {i.name for i in self.list()}, 1, name
        while free in taken:
            number += 1
            free = f"{name[:90]} ({number})"
        return free

    def rename(self, kb: KnowledgeBase, name: str) -> None:
        """
        Raises:
            InputError, ConflictError: as ``create``.
        """
        name = checked_name(name)
        with file_lock(self.context.home.run / "kbs.lock"):
            self._refuse_taken(name, besides=kb.id)
            kb.database.set_meta(name=name, updated_at=utc_now())
            kb.write_card()

    def remove(self, name_or_id: str) -> None:
        """Delete a knowledge base with its documents, damaged or not. Other processes that have it open finish on what they
        hold.

        Raises:
            UnreachableError: its vectors are on a server that does not answer; ``fix`` lets go of that server.
        """
        kb_id = self.locate(name_or_id)
        self._drop_elsewhere(kb_id)
        gone = self.folder / f".deleted-{kb_id}-{secrets.token_hex(3)}"
        self.let_go(kb_id)
        (self.folder / kb_id).rename(gone)  # one step: from here on it is not there
        shutil.rmtree(gone, ignore_errors=True)

    def _drop_elsewhere(self, kb_id: str) -> None:
        """What a server keeps of a knowledge base goes first: nobody would find it afterwards."""
        name = read_card(self.folder / kb_id).get("store", DEFAULT)
        if name not in STORES or not STORES.get(name).facts.elsewhere:
            return
        try:
            kb = self._opened(kb_id)
            kb.store.drop()
        except (StorageError, BusyError):
            return  # its file is damaged: what can be deleted is deleted
        except ConflictError as error:
            if error.code != "vectors_elsewhere":
                raise
        except UnreachableError as error:
            error.fix = f"zhilu kb move {kb_id} --store {DEFAULT}"
            raise

    def let_go(self, kb_id: str) -> None:
        """Close the file of a knowledge base in this process; the next use opens it anew."""
        with _lock:
            known = _open.pop(self.folder / kb_id / "kb.db", None)
        if known is not None:
            known[1].close()

    def sweep(self) -> None:
        """Delete what a kill left behind: half-made and half-deleted knowledge bases, uploads never finished."""
        for folder in self.folder.glob(".*"):
            if folder.is_dir() and (folder.name.startswith(".deleted-") or _older_than_an_hour(folder)):
                shutil.rmtree(folder, ignore_errors=True)
        for kb_id in self._ids():
            with suppress(StorageError, BusyError, ConflictError):  # the list says so
                self._opened(kb_id).sweep()

    def _ids(self) -> Ids:
        return [p.name for p in sorted(self.folder.iterdir()) if _ID.fullmatch(p.name) and p.is_dir()]

    def _opened(self, kb_id: str) -> KnowledgeBase:
        path = self.folder / kb_id / "kb.db"
        with _lock:
            try:
                inode = path.stat().st_ino
            except FileNotFoundError:
                said = T(
                    f"The database of this knowledge base is gone: {str(path)!r}.",
                    f"这个知识库的数据库不见了：{str(path)!r}。",
                )
                raise _damaged(said, kb_id) from None
            known = _open.get(path)
            if known is None or known[0] != inode:  # another process may have deleted it meanwhile
                if known is not None:
                    known[1].close()
                    del _open[path]
                database = KbDatabase(path)
                try:
                    if database.meta("name") is None:  # cut to nothing: SQLite takes an empty file for a new database
                        raise _damaged(
                            T(
                                f"{str(path)!r} holds no knowledge base any more.",
                                f"{str(path)!r} 里已没有知识库的内容。",
                            ),
                            kb_id,
                        )
                    _open[path] = (inode, KnowledgeBase(database, path.parent, self.context.settings))
                except BaseException:
                    database.close()
                    raise
            return _open[path][1]

    def _refuse_taken(self, name: str, besides: str | None = None) -> None:
        for info in self.list():
            if info.id != besides and info.name == name:
                raise ConflictError(
                    T(en=f"There is a knowledge base called {name!r} already.", zh=f"已经有名为 {name!r} 的知识库。"),
                    param="name",
                )


def _damaged(message: T, kb_id: str) -> DamagedError:
    return DamagedError(message, fix=f"zhilu kb repair {kb_id}")


def checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > 100 or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise InputError(
            T(
                en=f"A knowledge base needs a name of 1 to 100 printable characters, not {name[:120]!r}.",
                zh=f"知识库的名称须为 1 到 100 个可见字符，而不是 {name[:120]!r}。",
            ),
            param="name",
        )
    return name


def _older_than_an_hour(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > 3600
    except FileNotFoundError:
        return False
