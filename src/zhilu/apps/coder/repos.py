"""The repositories that are read. ``<home>/apps/coder/repos/<id>/`` holds ``repo.json`` and ``index.db``; the code stays where it is."""

from __future__ import annotations

import re
import shutil
import uuid
from datetime import datetime, timezone
from pathlib import Path

from pydantic import BaseModel

from zhilu.apps.coder.index.store import IndexStore
from zhilu.apps.coder.samples import unpack_sample
from zhilu.context import Context
from zhilu.errors import ConflictError, InputError, NotFoundError, nearest
from zhilu.home import atomic_write
from zhilu.messages import T

__all__ = ["CodeRepo", "Repos"]


class CodeRepo(BaseModel):
    """``left_out``: why how many entries were not read. ``indexed_at``: none yet where it is missing."""

    id: str
    name: str
    root: str
    created_at: datetime
    indexed_at: datetime | None = None
    num_files: int = 0
    num_symbols: int = 0
    num_lines: int = 0
    left_out: dict[str, int] = {}
    job_id: str | None = None


class Repos:
    """The repositories of one data home."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.folder = context.home.path / "apps" / "coder" / "repos"

    def every(self) -> list[CodeRepo]:
        found = [r for path in self.folder.glob("*/repo.json") if (r := _read(path)) is not None]
        return sorted(found, key=lambda r: r.created_at)

    def get(self, name: str) -> CodeRepo:
        """By id or name.

        Raises:
            NotFoundError: with the nearest name.
        """
        repos = self.every()
        for repo in repos:
            if name in (repo.id, repo.name):
                return repo
        near = nearest(name, [r.name for r in repos])
        raise NotFoundError(
            T(
                f"There is no repository {name!r}." + (f" Did you mean {near!r}?" if near else ""),
                f"没有名为 {name!r} 的代码仓库。" + (f"是不是 {near!r}？" if near else ""),
            ),
            param="repo",
            fix="zhilu code list",
        )

    def place(self, repo: CodeRepo) -> Path:
        """Its folder in the data home."""
        return self.folder / repo.id

    def index(self, repo: CodeRepo) -> IndexStore:
        """Its index; empty before it was first read."""
        store = IndexStore(self.place(repo) / "index.db")
        if not store.path.exists():
            store.create()
        return store

    def add(self, root: Path, name: str | None = None) -> CodeRepo:
        """Note a folder; reading it is a job's.

        Raises:
            InputError: it is no folder, or one that holds the data home. ConflictError: the name is taken.
        """
        place = root.expanduser().resolve()
        if not place.is_dir():
            raise InputError(
                T(f"{str(root)!r} is not a folder.", f"{str(root)!r} 不是文件夹。"),
                param="root",
                fix="zhilu code index FOLDER",
            )
        home = self.context.home.path.resolve()
        if place == Path(place.anchor) or home.is_relative_to(place) or place.is_relative_to(home):
            raise InputError(
                T(
                    f"{str(place)!r} shares its files with the data home, which has keys in it: give the folder of one repository.",
                    f"{str(place)!r} 与存有密钥的数据目录重叠：请给出单个代码仓库的文件夹。",
                ),
                param="root",
            )
        repo = self._new(name or place.name, str(place))
        self.save(repo)
        return repo

    def add_sample(self, name: str = "tinyshop") -> CodeRepo:
        """A copy of the sample repository, in the data home; edits of it change the copy.

        Raises:
            ConflictError: it is there already.
        """
        repo = self._new(name, "")
        code = self.place(repo) / "code"
        unpack_sample(code)
        repo.root = str(code)
        self.save(repo)
        return repo

    def _new(self, name: str, root: str) -> CodeRepo:
        wanted = re.sub(r"[^\w.-]+", "-", name.strip())[:60].strip("-.") or "repo"
        if any(r.name == wanted for r in self.every()):
            raise ConflictError(
                T(f"A repository {wanted!r} is there already.", f"代码仓库 {wanted!r} 已经存在。"),
                param="name",
                fix=f"zhilu code index {wanted}",
            )
        return CodeRepo(id=uuid.uuid4().hex[:12], name=wanted, root=root, created_at=datetime.now(timezone.utc))

    def save(self, repo: CodeRepo) -> None:
        self.place(repo).mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic_write(self.place(repo) / "repo.json", repo.model_dump_json(indent=1))

    def remove(self, name: str) -> None:
        """Forget a repository; its code is not touched."""
        shutil.rmtree(self.place(self.get(name)))


def _read(path: Path) -> CodeRepo | None:
    try:
        return CodeRepo.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # half made when the power went: not there
