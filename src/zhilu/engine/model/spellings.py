"""What transformers 4 and 5 write differently, said in both ways: ``config.json`` and ``tokenizer_config.json``.

Spellings: transformers 5.23, its modules ``modeling_rope_utils`` and ``tokenization_utils_base``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["both_spellings", "tokenizer_spellings"]


def both_spellings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A ``config.json`` that transformers 4 and 5, and who reads like either, understand alike.

    Where both spellings are there and disagree, ours wins: ``rope_parameters``, then what stands beside it.
    """
    said = dict(config)
    if "dtype" in said or "torch_dtype" in said:
        said["dtype"] = said["torch_dtype"] = said.get("dtype", said.get("torch_dtype"))
    new, old = said.get("rope_parameters"), said.get("rope_scaling")
    if isinstance(new, Mapping) and new and all(isinstance(kind, Mapping) for kind in new.values()):
        # By kind of layer: the old spelling has one key for each (Gemma 3).
        whole, near = new.get("full_attention") or {}, new.get("sliding_attention") or {}
        said.update(_old_rope(whole))
        if "rope_theta" in near:
            said["rope_local_base_freq"] = near["rope_theta"]
    elif isinstance(new, Mapping) and new:
        merged = {**(old if isinstance(old, Mapping) else {}), **new}
        if "rope_theta" in said:
            merged.setdefault("rope_theta", said["rope_theta"])
        merged.setdefault("rope_type", merged.get("type", "default"))
        merged.pop("type", None)
        said["rope_parameters"] = merged
        said.update(_old_rope(merged))
    elif "rope_local_base_freq" not in said and ("rope_theta" in said or isinstance(old, Mapping)):
        scaling = dict(old) if isinstance(old, Mapping) else {}
        kind = scaling.pop("type", "default")
        rope = {"rope_type": kind, **scaling}
        for key in ("rope_theta", "partial_rotary_factor"):
            if said.get(key) is not None:
                rope[key] = said[key]
        said["rope_parameters"] = rope
        said.update(_old_rope(rope))
    if isinstance(said.get("text_config"), Mapping):
        said["text_config"] = both_spellings(said["text_config"])
    return said


def _old_rope(rope: Mapping[str, Any]) -> dict[str, Any]:
    """``rope_theta`` and ``rope_scaling`` of one set of ``rope_parameters``."""
    said: dict[str, Any] = {key: rope[key] for key in ("rope_theta", "partial_rotary_factor") if key in rope}
    scaling = {key: value for key, value in rope.items() if key not in said}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    said["rope_scaling"] = None if kind == "default" else {**scaling, "rope_type": kind, "type": kind}
    return said


def tokenizer_spellings(config: Mapping[str, Any], template: str | None) -> tuple[dict[str, Any], str | None]:
    """``tokenizer_config.json`` in both spellings, and the text for ``chat_template.jinja``.

    Args:
        template: what ``chat_template.jinja`` holds now; it goes before the key, as everyone reads it.
    """
    said, inside = dict(config), config.get("chat_template")
    named = {entry["name"]: entry["template"] for entry in inside} if isinstance(inside, list) else {}
    text = template or (named.get("default") if named else inside)
    if text:
        others = {name: other for name, other in named.items() if name != "default"}
        listed = [{"name": name, "template": one} for name, one in {"default": text, **others}.items()]
        said["chat_template"] = listed if others else text
    extra = said.get("extra_special_tokens")
    if isinstance(extra, list):  # transformers 4 wants an object there, and the list under the older name
        said["additional_special_tokens"] = said.pop("extra_special_tokens")
    if said.get("tokenizer_class") == "TokenizersBackend":  # transformers 5's name for the same class
        said["tokenizer_class"] = "PreTrainedTokenizerFast"
    return said, text if isinstance(text, str) else None
