"""The model that is tuned, in Transformers: from a safetensors folder or a GGUF file of the store."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.engine.model.config import ModelConfig, read_config, tensor_shapes
from zhilu.engine.model.gguf import find_gguf, read_gguf
from zhilu.engine.model.gguf_model import gguf_config
from zhilu.engine.model.weights import load_tensors
from zhilu.errors import MissingComponentError, UnsupportedError
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.models.chosen import named_model
from zhilu.setup.require import require_torch

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["TARGETS", "count_parameters", "empty_base", "load_base", "name_of_base", "require_trainer"]

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


def empty_base(folder: Path, config: ModelConfig) -> Any:
    """The model without weights (on PyTorch's meta device; tables of positions are real): its parameters are to be set.

    Raises:
        UnsupportedError: the embedded engine could not serve what is trained.
    """
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM

    _refuse_what_cannot_be_served_again(config)
    with init_empty_weights():
        return AutoModelForCausalLM.from_config(_config(folder))


def _config(folder: Path) -> Any:
    """The model's configuration for Transformers, in float32."""
    import torch
    from transformers import AutoConfig

    gguf = find_gguf(folder)
    if gguf is None:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    else:
        raw = gguf_config(read_gguf(gguf))
        config = AutoConfig.for_model(raw["architectures"][0].removesuffix("ForCausalLM").lower(), **raw)
    config.dtype, config.use_cache = torch.float32, False
    return config


def load_base(folder: Path) -> Any:
    """The model in float32, ready for training (no cache, no dropout of its own).

    Blocks of a GGUF file become float32: what is trained on is what the file says, without further rounding.

    Raises:
        UnsupportedError, InputError: the files are not of a model that the embedded engine could serve afterwards.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = read_config(folder)
    _refuse_what_cannot_be_served_again(config)
    if find_gguf(folder) is None:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    else:
        model = AutoModelForCausalLM.from_config(_config(folder))
        absent, strange = model.load_state_dict(load_tensors(folder, config), strict=False)
        tied = {"lm_head.weight"} if config.tied else set()
        assert not set(absent) - tied and not strange, (absent, strange)
        model.tie_weights()
    model.config.use_cache = False
    return model


def count_parameters(folder: Path) -> int:
    """Weights of a model, by its configuration; its files are not read."""
    return sum(math.prod(shape) for _, shape in tensor_shapes(read_config(folder)))


def name_of_base(context: Context, named: str | None) -> str:
    """The model of the store that a command means: a name, a GGUF file (linked into the store where it is not yet), or none:
    the one that runs.

    Raises:
        InputError, ConflictError: the file is no GGUF file, or another model has its name.
    """
    file = Path(named) if named else None
    if file is None or file.suffix.lower() != ".gguf" or not file.is_file():
        return named_model(context, named)
    store = ModelStore(context)
    kept = find_gguf(context.home.models / file.stem) if (context.home.models / file.stem).is_dir() else None
    return file.stem if kept is not None and kept.samefile(file) else store.import_folder(file).name
