"""``/zhilu/v1/chat``: folders of conversations, and saved prompts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.chat.shelf import ChatFolder, FolderStore, SavedPrompt, SavedPromptStore
from zhilu.context import context_of

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/chat", tags=["chat"])


class ChatFolderIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)


class SavedPromptIn(BaseModel):
    """``text`` may hold ``{{name}}``: what is filled in before it is sent."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=64)
    text: str = Field(min_length=1, max_length=50_000)


@router.get("/folders")
def list_chat_folders(request: Request) -> list[ChatFolder]:
    return FolderStore(context_of(request)).list()


@router.post("/folders", status_code=201)
def create_chat_folder(body: ChatFolderIn, request: Request) -> ChatFolder:
    return FolderStore(context_of(request)).create(body.name)


@router.patch("/folders/{folder_id}")
def rename_chat_folder(folder_id: str, body: ChatFolderIn, request: Request) -> ChatFolder:
    return FolderStore(context_of(request)).rename(folder_id, body.name)


@router.delete("/folders/{folder_id}", status_code=204)
def delete_chat_folder(folder_id: str, request: Request) -> None:
    """The folder; its conversations stay."""
    FolderStore(context_of(request)).delete(folder_id)


@router.get("/prompts")
def list_saved_prompts(request: Request) -> list[SavedPrompt]:
    return SavedPromptStore(context_of(request)).list()


@router.post("/prompts", status_code=201)
def create_saved_prompt(body: SavedPromptIn, request: Request) -> SavedPrompt:
    return SavedPromptStore(context_of(request)).save(body.name, body.text)


@router.put("/prompts/{prompt_id}")
def change_saved_prompt(prompt_id: str, body: SavedPromptIn, request: Request) -> SavedPrompt:
    return SavedPromptStore(context_of(request)).save(body.name, body.text, prompt_id)


@router.delete("/prompts/{prompt_id}", status_code=204)
def delete_saved_prompt(prompt_id: str, request: Request) -> None:
    SavedPromptStore(context_of(request)).delete(prompt_id)
