"""Searches the Hugging Face hub (or its mirror) for models in one of the two formats that can run here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from zhilu.errors import UnreachableError
from zhilu.messages import T
from zhilu.models.sources import source_for
from zhilu.models.sources.base import LOOK_SECONDS
from zhilu.settings import Settings

__all__ = ["HubModel", "search_hub"]

_MOST = 20


class HubModel(BaseModel):
    """A repository of the hub, and its GGUF files where it has some."""

    repo: str
    downloads: int
    likes: int
    license: str | None
    gated: bool
    files: list[str]


def search_hub(settings: Settings, query: str, format: Literal["gguf", "safetensors"]) -> list[HubModel]:
    """The most pulled repositories of that format that match; none for an empty query.

    Raises:
        UnreachableError: the hub does not answer, or ``offline`` is on.
    """
    import httpx

    if not query.strip():
        return []
    endpoint = source_for("hf", settings).facts.endpoint
    asked: dict[str, Any] = {
        "search": query.strip(),
        "filter": format,
        "sort": "downloads",
        "limit": _MOST,
        "full": "true",
    }
    try:
        answer = httpx.get(f"{endpoint}/api/models", params=asked, timeout=LOOK_SECONDS, follow_redirects=True)
        answer.raise_for_status()
        rows = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as error:
        reason = str(error) or type(error).__name__
        raise UnreachableError(
            T(
                f"Hugging Face cannot be searched at {endpoint} ({reason}).",
                f"无法在 {endpoint} 搜索 Hugging Face（{reason}）。",
            ),
            code="hub_unreachable",
            fix="zhilu settings set hf_endpoint https://hf-mirror.com",
        ) from error
    return [_row(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _row(row: dict[str, Any]) -> HubModel:
    tags = [tag for tag in row.get("tags") or [] if isinstance(tag, str)]
    names = [str(entry.get("rfilename")) for entry in row.get("siblings") or [] if isinstance(entry, dict)]
    return HubModel(
        repo=row["id"],
        downloads=int(row.get("downloads") or 0),
        likes=int(row.get("likes") or 0),
        license=next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None),
        gated=bool(row.get("gated")),
        files=sorted(name for name in names if name.endswith(".gguf") and "/" not in name),
    )
