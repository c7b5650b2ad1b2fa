"""Write a trained model as the files that ``embedders.static`` reads: int8 vectors, half-precision weights, the units.

A row's scale is folded into both of its weights, so that nothing is multiplied twice when a text is embedded.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from zhilu.home import atomic_write
from zhilu.models.embedders.static import FORMAT
from zhilu.training.embed.model import StaticModel, Vocabulary

__all__ = ["export", "weights_digest"]


def export(model: StaticModel, vocabulary: Vocabulary, out: Path) -> Path:
    """Write ``model.safetensors`` and ``config.json``; returns ``out``."""
    from safetensors.numpy import save

    out.mkdir(parents=True, exist_ok=True)
    table = model.table.detach().numpy()
    scale = np.maximum(np.abs(table).max(axis=1), 1e-12) / 127  # (R,)
    weights = {name: np.exp(getattr(model, name).detach().numpy()) * scale for name in ("query", "passage")}
    largest = max(float(w.max()) for w in weights.values())  # half precision holds what is near 1 best
    tensors = {
        "table": np.rint(table / scale[:, None]).astype(np.int8),
        "units": np.frombuffer("\n".join(vocabulary.own).encode(), np.uint8),
        **{name: (w / largest).astype(np.float16) for name, w in weights.items()},
    }
    config = {
        "format": FORMAT,
        "dim": int(table.shape[1]),
        "num_units": len(vocabulary.own),
        "num_buckets": vocabulary.num_buckets,
        "languages": ["en", "zh"],
        "license": "apache-2.0",
    }
    atomic_write(out / "model.safetensors", save(tensors))
    atomic_write(out / "config.json", (json.dumps(config, indent=2) + "\n").encode())
    for path in out.iterdir():
        path.chmod(0o644)  # atomic_write keeps files private; a package's files are for everyone
    return out


def weights_digest(folder: Path) -> str:
    """SHA-256 of the weights file, as the model card states it."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
