"""The model that is tuned, in Transformers: from a safetensors folder or a GGUF file of the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zhilu.engine.model.config import ModelConfig, read_config
from zhilu.engine.model.gguf import find_gguf, read_gguf
from zhilu.engine.model.gguf_model import gguf_config
from zhilu.engine.model.weights import load_tensors
from zhilu.errors import MissingComponentError, UnsupportedError
from zhilu.messages import T
from zhilu.setup.require import require_torch

__all__ = ["TARGETS", "load_base", "require_trainer"]

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def require_trainer() -> None:
    """
    Raises:
        MissingComponentError: PyTorch, Transformers or PEFT is not installed; says the one command.
    """
    from importlib.util import find_spec

    require_torch(T("Tuning", "微调"))
    missing = [name for name in ("transformers", "peft", "accelerate") if find_spec(name) is None]
    if missing:
        raise MissingComponentError(
            T(
                f"Tuning needs {', '.join(missing)}, which are not installed.",
                f"微调需要 {'、'.join(missing)}，尚未安装。",
            ),
            code="tuning_missing",
            fix="pip install 'zhilu[tune]'",
        )


def _refuse_what_cannot_be_served_again(config: ModelConfig) -> None:
    """The engine adds an adapter to separate projections of a text model; another one would be trained for nothing."""
    family = config.family
    if family.fused or family.text_of or config.experts:
        raise UnsupportedError(
            T(
                f"{config.architecture} cannot be tuned here: its projections are fused, experts, or part of a model that "
                "sees, and the embedded engine takes no adapters for those",
                f"不能在这里微调 {config.architecture}：它的投影是合并的、属于专家层，或属于带视觉的模型，内置引擎不支持这样的适配器",
            ),
            param="model",
            code="unsupported_model",
            fix="zhilu tune run --model zhilu-nano",
        )


def load_base(folder: Path) -> Any:
    """The model in float32, ready for training (no cache, no dropout of its own).

    Blocks of a GGUF file become float32: what is trained on is what the file says, without further rounding.

    Raises:
        UnsupportedError, InputError: the files are not of a model that the embedded engine could serve afterwards.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = read_config(folder)
    _refuse_what_cannot_be_served_again(config)
    gguf = find_gguf(folder)
    if gguf is None:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    else:
        raw = gguf_config(read_gguf(gguf))
        kind = raw["architectures"][0].removesuffix("ForCausalLM").lower()
        raw |= {"dtype": "float32", "use_cache": False}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **raw))
        absent, strange = model.load_state_dict(load_tensors(folder, config), strict=False)
        tied = {"lm_head.weight"} if config.tied else set()
        assert not set(absent) - tied and not strange, (absent, strange)
        model.tie_weights()
    model.config.use_cache = False
    return model
