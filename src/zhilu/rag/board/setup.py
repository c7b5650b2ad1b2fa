"""What a run of the scoreboard may vary: one configuration of splitting, embedding, searching and answering.

A part that is not said is as the knowledge base and the settings have it. What belongs to the index (``chunk_tokens``,
``overlap_tokens``, ``embedder``, ``store``) is tried on an index made for the run; the knowledge base itself stays as it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from zhilu.errors import InputError, nearest
from zhilu.messages import T
from zhilu.rag.index.split import CHUNK_TOKENS, OVERLAP_TOKENS

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - 3.10 only
    import tomli as tomllib

__all__ = ["Setup", "read_setup"]


class Setup(BaseModel):
    """One configuration.

    Attributes:
        meaning: share of the vectors beside the words, 0 (words alone) to 1 (meaning alone); by language where not said.
        rerank: whether the passages are put in order by their nearest sentence before the model reads them.
        draft: search also with an answer that the model makes up (HyDE; Gao et al. 2022, arXiv:2212.10496).
        passages: found and considered for an answer.
        model, answers: as the settings of these names.
        retrieval_only: no model is asked for answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunk_tokens: int | None = Field(None, ge=40, le=1000)
    overlap_tokens: int | None = Field(None, ge=0, le=400)
    embedder: str | None = None
    store: str | None = None
    meaning: float | None = Field(None, ge=0, le=1)
    rerank: bool | None = None
    draft: bool | None = None
    passages: int | None = Field(None, ge=1, le=20)
    model: str | None = None
    answers: Literal["careful", "balanced", "bold"] | None = None
    retrieval_only: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Setup:
        if (self.overlap_tokens or OVERLAP_TOKENS) >= (self.chunk_tokens or CHUNK_TOKENS):
            raise ValueError("overlap_tokens must be below chunk_tokens")
        return self

    @property
    def needs_index(self) -> bool:
        """Whether it can only be tried on an index of its own."""
        return any(v is not None for v in (self.chunk_tokens, self.overlap_tokens, self.embedder, self.store))

    def said(self) -> dict[str, Any]:
        """What differs from how things are."""
        return self.model_dump(exclude_defaults=True, exclude_none=True)

    def label(self) -> T:
        """Its name in tables."""
        said = " ".join(
            f"{key}={json.dumps(v) if isinstance(v, bool) else v}"
            for key, v in self.said().items()
            if key != "retrieval_only"
        )
        return T(said or "as it is", said or "当前配置")


def read_setup(texts: Iterable[str]) -> Setup:
    """A configuration from the command line: ``key=value`` pairs and TOML files, the later ones win.

    Raises:
        InputError: names every key and value that is wrong, with the nearest key that there is.
    """
    values: dict[str, Any] = {}
    for text in texts:
        key, is_pair, value = text.partition("=")
        if not is_pair:
            values |= _file(Path(text))
            continue
        try:
            values[key.strip().replace("-", "_")] = json.loads(value)
        except json.JSONDecodeError:
            values[key.strip().replace("-", "_")] = value
    try:
        return Setup.model_validate(values)
    except ValidationError as error:
        wrong = []
        for item in error.errors():
            key = str(item["loc"][0]) if item["loc"] else "-"
            close = nearest(key, Setup.model_fields)
            hint = f" ({close}?)" if close and close != key else ""
            wrong.append(f"{key}{hint}: {item['msg']}")
        shown = "; ".join(wrong)
        raise InputError(
            T(f"The configuration is wrong: {shown}", f"配置有误：{shown}"),
            param="config",
            fix=f"--config {' | '.join(f'{k}=…' for k in Setup.model_fields)}",
        ) from error


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            T(
                f"The configuration file {str(path)!r} cannot be read: {error}",
                f"配置文件 {str(path)!r} 无法读取：{error}",
            ),
            param="config",
            fix="--config passages=2",
        ) from error
