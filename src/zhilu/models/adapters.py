"""LoRA adapters in the data home: PEFT folders under ``adapters/``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from zhilu.errors import InputError
from zhilu.models.check import read_object

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["AdapterInfo", "list_adapters"]


class AdapterInfo(BaseModel):
    """One adapter; ``rank`` and ``base_model`` as its adapter_config.json states them."""

    name: str
    path: str
    base_model: str | None
    kind: str
    rank: int | None
    target_modules: list[str]
    size_bytes: int


def list_adapters(context: Context) -> list[AdapterInfo]:
    """Folders with an adapter_config.json, sorted by name; one that cannot be read is left out."""
    configs = sorted(context.home.adapters.glob("*/adapter_config.json"))
    return [info for config in configs if (info := _read(config)) is not None]


def _read(config: Path) -> AdapterInfo | None:
    try:
        fields = read_object(config)
    except InputError:
        return None
    modules = fields.get("target_modules") or []
    return AdapterInfo(
        name=config.parent.name,
        path=str(config.parent),
        base_model=fields.get("base_model_name_or_path"),
        kind=str(fields.get("peft_type", "LORA")),
        rank=fields.get("r"),
        target_modules=[modules] if isinstance(modules, str) else sorted(modules),
        size_bytes=sum(file.stat().st_size for file in config.parent.glob("*.safetensors")),
    )
