"""Write a trained checkpoint as a Hugging Face folder that transformers, vLLM, llama.cpp's converter and our engine load.

python -m zhilu.training.nano.export --run DIR [--out DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from zhilu.home import atomic_write
from zhilu.models.shipped import NANO
from zhilu.training.model import Nano, NanoConfig
from zhilu.training.nano.template import CHAT_TEMPLATE
from zhilu.training.nano.tokenizer import END, END_ID, IM_END, IM_END_ID

__all__ = ["export", "load_exported", "weights_digest"]


def export(run: Path, out: Path) -> Path:
    """Export ``run/checkpoint.pt`` with ``run/tokenizer.json`` to ``out`` (weights in bfloat16); returns ``out``."""
    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    config = NanoConfig(**state["recipe"]["model"])
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.to(torch.bfloat16).contiguous() for name, weight in state["model"].items()}
    temporary = out / "model.safetensors.tmp"
    save_file(weights, temporary, metadata={"format": "pt"})
    temporary.replace(out / "model.safetensors")
    atomic_write(out / "tokenizer.json", (run / "tokenizer.json").read_bytes())
    _write(out / "config.json", _config(config))
    _write(
        out / "generation_config.json",
        {"do_sample": False, "eos_token_id": [IM_END_ID, END_ID], "pad_token_id": END_ID},
    )
    _write(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": False,
            "add_prefix_space": False,
            "bos_token": None,
            "eos_token": IM_END,
            "pad_token": END,
            "unk_token": None,
            "clean_up_tokenization_spaces": False,
            "model_max_length": config.max_position_embeddings,
            "chat_template": CHAT_TEMPLATE,
        },
    )
    for path in out.iterdir():
        path.chmod(0o644)  # atomic_write keeps files private; a package's files are for everyone
    return out


def _config(config: NanoConfig) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        **config.data(),
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        "use_cache": True,
        "use_sliding_window": False,
        "sliding_window": None,
        "max_window_layers": config.num_hidden_layers,
        "rope_scaling": None,
        "initializer_range": 0.02,
        "bos_token_id": None,
        "eos_token_id": IM_END_ID,
        "pad_token_id": END_ID,
        "torch_dtype": "bfloat16",
    }


def _write(path: Path, data: dict[str, Any]) -> None:
    atomic_write(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def load_exported(folder: Path = NANO) -> Nano:
    """Our own model with an exported folder's weights, in fp32."""
    stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = Nano(NanoConfig(**{name: stored[name] for name in NanoConfig().data()}))
    model.load_state_dict({name: weight.float() for name, weight in load_file(folder / "model.safetensors").items()})
    return model.eval()


def weights_digest(folder: Path = NANO) -> str:
    """SHA-256 of ``model.safetensors``, the name under which a score of this model is reported."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m zhilu.training.nano.export", description="Export zhilu-nano.")
    parser.add_argument("--run", required=True, type=Path)
    parser.add_argument("--out", type=Path, default=NANO)
    given = parser.parse_args(argv)
    out = export(given.run, given.out)
    print(out, weights_digest(out), (out / "model.safetensors").stat().st_size)


if __name__ == "__main__":
    main()
