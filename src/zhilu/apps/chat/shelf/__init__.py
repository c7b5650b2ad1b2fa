"""What a person keeps beside the conversations: folders to put them in, and texts that are written often."""

from __future__ import annotations

import re
import uuid
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import select, update

from zhilu.apps.chat.tables import ConversationRow, FolderRow, SavedPromptRow
from zhilu.context import Context
from zhilu.errors import ConflictError, InputError, NotFoundError
from zhilu.messages import T
from zhilu.promptlab.template import PromptTemplate, variables

__all__ = ["ChatFolder", "FolderStore", "SavedPrompt", "SavedPromptStore"]

_VARIABLE = re.compile(
    r"\{\{ ?([A-Za-z_\u4e00-\u9fff][\w-]{0,39}) ?\}\}"
)  # as the templates of the prompt lab have them
_NAME = re.compile(r"[\w-]{1,64}\Z")
Folders = list["ChatFolder"]
Prompts = list["SavedPrompt"]


class ChatFolder(BaseModel):
    id: str
    name: str
    created_at: datetime


class SavedPrompt(BaseModel):
    """``variables``: the names between double braces in ``text``, as in a template of the prompt lab."""

    id: str
    name: str
    text: str
    variables: list[str] = []
    created_at: datetime


class FolderStore:
    """Folders of conversations. Every method that takes an id raises NotFoundError where there is no such folder."""

    def __init__(self, context: Context) -> None:
        self._database = context.database

    def list(self) -> Folders:
        with self._database.reading() as session:
            rows = session.scalars(select(FolderRow).order_by(FolderRow.created_at))
            return [ChatFolder.model_validate(row, from_attributes=True) for row in rows]

    def create(self, name: str) -> ChatFolder:
        with self._database.session() as session:
            row = FolderRow(id=uuid.uuid4().hex, name=_said(name))
            session.add(row)
            session.flush()
            return ChatFolder.model_validate(row, from_attributes=True)

    def rename(self, folder_id: str, name: str) -> ChatFolder:
        with self._database.session() as session:
            row = session.get(FolderRow, folder_id)
            if row is None:
                raise _no_folder(folder_id)
            row.name = _said(name)
            session.flush()
            return ChatFolder.model_validate(row, from_attributes=True)

    def delete(self, folder_id: str) -> None:
        """The folder; its conversations stay, in none."""
        with self._database.session() as session:
            row = session.get(FolderRow, folder_id)
            if row is None:
                raise _no_folder(folder_id)
            session.execute(
                update(ConversationRow)
                .where(ConversationRow.folder_id == folder_id)
                # A move is no news: the list is by when something was said.
                .values(folder_id=None, updated_at=ConversationRow.updated_at)
            )
            session.delete(row)

    def check(self, folder_id: str | None) -> None:
        """Raises NotFoundError where a folder is named that is not there."""
        if folder_id is not None and folder_id not in {one.id for one in self.list()}:
            raise _no_folder(folder_id)


class SavedPromptStore:
    """Saved prompts, by name. Every method that takes an id raises NotFoundError where there is no such prompt."""

    def __init__(self, context: Context) -> None:
        self._database = context.database

    def list(self) -> Prompts:
        with self._database.reading() as session:
            return [_told(row) for row in session.scalars(select(SavedPromptRow).order_by(SavedPromptRow.name))]

    def save(self, name: str, text: str, prompt_id: str | None = None) -> SavedPrompt:
        """
        Raises:
            InputError: a name that could not be typed after a slash, or no text. ConflictError: another one has the name.
        """
        name = name.strip()
        if not _NAME.match(name):
            raise InputError(
                T(
                    f"A prompt cannot be called {name!r}: letters, digits, - and _ only, without spaces.",
                    f"提示词不能叫 {name!r}：只能用文字、数字、- 和 _，不能有空格。",
                ),
                param="name",
            )
        if not text.strip():
            raise InputError(T("The prompt is empty.", "提示词是空的。"), param="text")
        with self._database.session() as session:
            other = session.scalar(select(SavedPromptRow).where(SavedPromptRow.name == name))
            if other is not None and other.id != prompt_id:
                raise ConflictError(
                    T(f"There is a prompt {name!r} already.", f"已经有名为 {name!r} 的提示词。"), param="name"
                )
            row = session.get(SavedPromptRow, prompt_id) if prompt_id else SavedPromptRow(id=uuid.uuid4().hex)
            if row is None:
                raise _no_prompt(str(prompt_id))
            row.name, row.text = name, text
            session.add(row)
            session.flush()
            return _told(row)

    def delete(self, prompt_id: str) -> None:
        with self._database.session() as session:
            row = session.get(SavedPromptRow, prompt_id)
            if row is None:
                raise _no_prompt(prompt_id)
            session.delete(row)


def _told(row: SavedPromptRow) -> SavedPrompt:
    return SavedPrompt(
        id=row.id,
        name=row.name,
        text=row.text,
        variables=variables(PromptTemplate(user=row.text)),
        created_at=row.created_at,
    )


def _said(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise InputError(T("The folder has no name.", "文件夹没有名称。"), param="name")
    return name


def _no_folder(folder_id: str) -> NotFoundError:
    return NotFoundError(T(f"There is no folder {folder_id!r}.", f"没有文件夹 {folder_id!r}。"), param="folder_id")


def _no_prompt(prompt_id: str) -> NotFoundError:
    return NotFoundError(T(f"There is no saved prompt {prompt_id!r}.", f"没有保存的提示词 {prompt_id!r}。"))
