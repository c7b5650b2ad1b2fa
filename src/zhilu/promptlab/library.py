"""The versions there are, as files one can read, edit and keep in Git: ``prompts/templates/<name>/<number>.toml``.

What came with Zhilu is read from the package and never written to: a new version of it begins in the data home.
"""

from __future__ import annotations

import shutil
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import BaseModel, ValidationError

from zhilu.errors import ConflictError, InputError, NotFoundError, nearest
from zhilu.home import atomic_write, file_lock
from zhilu.messages import T
from zhilu.promptlab.template import PromptTemplate, fingerprint, variables

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["STARTERS", "PromptSummary", "PromptVersion", "Templates"]

STARTERS = Path(__file__).parent / "starters"


class PromptVersion(BaseModel):
    """``shipped``: it came with Zhilu. ``sha256`` changes with what the model is told."""

    name: str
    number: int
    template: PromptTemplate
    variables: list[str]
    sha256: str
    created_at: str | None = None
    shipped: bool = False


class PromptSummary(BaseModel):
    name: str
    versions: int
    newest: int
    note: str
    shipped: bool  # the newest one is not yours yet


class Templates:
    def __init__(self, context: Context) -> None:
        self.folder = context.home.path / "prompts" / "templates"

    def list(self) -> Summaries:
        """Your own first, then those that came with Zhilu; by name."""
        names = {path.name for place in (self.folder, STARTERS / "templates") if place.is_dir()
                 for path in place.iterdir() if path.is_dir() and any(path.glob("*.toml"))}  # fmt: skip
        found = []
        for name in names:
            numbers = self._numbers(name)
            newest = self.get(name, max(numbers))
            found.append(
                PromptSummary(name=name, versions=len(numbers), newest=newest.number, note=newest.template.note,
                        shipped=newest.shipped)
            )  # fmt: skip
        return sorted(found, key=lambda one: (one.shipped, one.name))

    def versions(self, name: str) -> Versions:
        """The oldest first.

        Raises:
            NotFoundError: no such template. InputError: a file is none.
        """
        return [self.get(name, number) for number in sorted(self._numbers(name))]

    def get(self, name: str, number: int | None = None) -> PromptVersion:
        """One version; without a number, the newest.

        Raises:
            NotFoundError: no such template or version. InputError: its file is none.
        """
        numbers = self._numbers(name)
        wanted = max(numbers) if number is None else number
        if wanted not in numbers:
            there = ", ".join(map(str, sorted(numbers)))
            raise NotFoundError(
                T(f"{name!r} has no version {wanted}; it has {there}.", f"{name!r} 没有版本 {wanted}；现有：{there}。"),
                param="version",
                fix=f"zhilu prompt show {name}",
            )
        return _read(name, wanted, numbers[wanted], shipped=self.folder not in numbers[wanted].parents)

    def save(self, name: str, template: PromptTemplate) -> PromptVersion:
        """A new version; the newest one where nothing but the note is new.

        Raises:
            ConflictError: somebody else saves this one.
        """
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(folder / ".lock", blocking=False) as mine:
            if not mine:
                raise ConflictError(
                    T(f"{name!r} is being saved.", f"{name!r} 正在保存。"), fix=f"zhilu prompt show {name}"
                )
            numbers = self._numbers(name, may_be_new=True)
            if numbers:
                newest = self.get(name, max(numbers))
                if newest.sha256 == fingerprint(template):
                    return newest
            number = max(numbers, default=0) + 1
            created = datetime.now(timezone.utc).isoformat(timespec="seconds")
            content = {"created_at": created, **template.model_dump()}
            atomic_write(folder / f"{number}.toml", tomli_w.dumps(content, multiline_strings=True))
        return self.get(name, number)

    def delete(self, name: str) -> None:
        """Your versions of it; what came with Zhilu stays.

        Raises:
            NotFoundError: no such template. ConflictError: all of it came with Zhilu.
        """
        self._numbers(name)
        if not (self.folder / name).is_dir():
            raise ConflictError(
                T(f"{name!r} came with Zhilu and stays.", f"{name!r} 随程序附带，不能删除。"), fix="zhilu prompt list"
            )
        shutil.rmtree(self.folder / name)

    def _numbers(self, name: str, *, may_be_new: bool = False) -> dict[int, Path]:
        """The number of each version, and its file; one of your own under a shipped one's number comes first."""
        found = {
            int(path.stem): path
            for place in (STARTERS / "templates", self.folder)
            for path in (place / name).glob("*.toml")
            if path.stem.isdecimal() and "/" not in name and not name.startswith(".")
        }
        if not found and not may_be_new:
            close = nearest(name, [one.name for one in self.list()])
            hint = T(f" Did you mean {close!r}?", f"是不是 {close!r}？") if close else T("", "")
            raise NotFoundError(
                T(f"There is no prompt {name!r}.{hint.en}", f"没有名为 {name!r} 的提示词。{hint.zh}"),
                param="name",
                fix="zhilu prompt list",
            )
        return found


def _read(name: str, number: int, path: Path, *, shipped: bool) -> PromptVersion:
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        created = raw.pop("created_at", None)
        template = PromptTemplate.model_validate(raw)
    except (ValueError, ValidationError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(
            T(
                f"{name}/{path.name} is no version of a prompt: {said}",
                f"{name}/{path.name} 不是有效的提示词版本：{said}",
            ),
            param="name",
            fix=f"mv '{path}' '{path}.broken'",
        ) from error
    return PromptVersion(
        name=name, number=number, template=template, variables=variables(template), sha256=fingerprint(template),
        created_at=str(created) if created else None, shipped=shipped,
    )  # fmt: skip


# Named here because ``Templates.list`` hides the builtin inside the class.
Summaries = list[PromptSummary]
Versions = list[PromptVersion]
