"""What is examined: which interpreter, home, port and hubs, and whether the network may be used."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Subject"]

HF = "https://huggingface.co"
HF_MIRROR = "https://hf-mirror.com"  # the community mirror that most people in mainland China use
MODELSCOPE = "https://www.modelscope.cn"


@dataclass(frozen=True)
class Subject:
    """One machine as one person uses it.

    Attributes:
        python: the interpreter that runs Zhilu.
        home: the data home.
        project: the folder the person works in (the current one).
        port: where the workbench listens.
        offline: ask nothing beyond this machine.
    """

    python: str = sys.executable
    home: str = "~/.zhilu"
    project: str = field(default_factory=lambda: str(Path.cwd()))
    host: str = "127.0.0.1"
    port: int = 8642
    hf_endpoint: str = HF
    modelscope_endpoint: str = MODELSCOPE
    offline: bool = False

    @classmethod
    def of(cls, context: Context, *, offline: bool | None = None) -> Subject:
        settings = context.settings
        return cls(
            home=str(context.home.path),
            host=settings.host,
            port=settings.port,
            hf_endpoint=(settings.hf_endpoint or HF).rstrip("/"),
            modelscope_endpoint=(settings.modelscope_endpoint or MODELSCOPE).rstrip("/"),
            offline=settings.offline if offline is None else offline,
        )
