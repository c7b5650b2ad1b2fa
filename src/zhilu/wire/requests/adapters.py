"""vLLM's ``/v1/load_lora_adapter`` and ``/v1/unload_lora_adapter``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from zhilu.wire.requests.base import Request

__all__ = ["LoadAdapterRequest", "UnloadAdapterRequest"]


class LoadAdapterRequest(Request):
    """vLLM's ``POST /v1/load_lora_adapter``: the adapter is a model of this name from then on."""

    lora_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
    lora_path: Annotated[str, Field(min_length=1)]
    load_inplace: bool = False  # take the place of one with the same name


class UnloadAdapterRequest(Request):
    """vLLM's ``POST /v1/unload_lora_adapter``."""

    lora_name: Annotated[str, Field(min_length=1)]
    lora_int_id: int | None = None
