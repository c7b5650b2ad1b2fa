"""Broken and hostile models, and a program that imports, shows and serves each: run by test_hostile_folders.py in a process
of its own with a limit of memory, so that a crash or a spike is seen as one.

    python hostile_folders.py WORK_FOLDER     # a line of JSON for each model and verb
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS = "model.safetensors"
MOST_BYTES = 700 * 2**20  # of address space beyond what the process has once it has served a sound model


def edit(name: str, **changes: Any) -> Callable[[Path], None]:
    """A JSON file with other values; None takes a key out."""

    def change(folder: Path) -> None:
        raw = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({k: v for k, v in raw.items() if v is not None}))

    return change


def config(**changes: Any) -> Callable[[Path], None]:
    return edit("config.json", **changes)


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        raw = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(raw)

    return change


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def a_folder(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def a_link(name: str, target: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return change


def tensors(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Other tensors in a sound file."""
    from safetensors.numpy import load_file, save_file

    def rewrite(folder: Path) -> None:
        there = load_file(folder / WEIGHTS)
        change(there)
        save_file(there, folder / WEIGHTS)

    return rewrite


def header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Another header before the same bytes."""

    def rewrite(folder: Path) -> None:
        raw = (folder / WEIGHTS).read_bytes()
        size = int.from_bytes(raw[:8], "little")
        entries = json.loads(raw[8 : 8 + size])
        change(entries)
        written = json.dumps(entries).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(written)) + written + raw[8 + size :])

    return rewrite


def cut(folder: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate((folder / WEIGHTS).stat().st_size // 2)


def set_value(name: str, value: float) -> Callable[[dict[str, Any]], None]:
    def change(there: dict[str, Any]) -> None:
        there[name].flat[3] = value

    return change


def sharded(weight_map: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return change


def twice(folder: Path) -> None:
    """The second entry of one name points at another tensor's bytes; a parser keeps the last of the two."""
    raw = (folder / WEIGHTS).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    entries = json.loads(raw[8 : 8 + size])
    again = json.dumps({"model.norm.weight": entries["model.layers.0.input_layernorm.weight"]})
    written = raw[8 : 8 + size].rstrip()[:-1] + b"," + again.encode()[1:]
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(written)) + written + raw[8 + size :])


def only_a_folder(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "model.gguf").mkdir()


def as_float8(folder: Path) -> None:
    """One matrix in 8 bits without its scale: what it means cannot be known."""
    name = "model.layers.0.mlp.up_proj.weight"

    def change(entries: dict[str, Any]) -> None:
        entry = entries[name]
        begin, end = entry["data_offsets"]
        entry |= {"dtype": "F8_E4M3", "shape": [entry["shape"][0] * 4, entry["shape"][1]]}
        assert end > begin

    header(change)(folder)


def few_words(folder: Path) -> None:
    config(vocab_size=200)(folder)
    words = ("model.embed_tokens.weight", "lm_head.weight")
    tensors(lambda there: there.update({name: there[name][:200].copy() for name in words}))(folder)


def many_tensors(folder: Path) -> None:
    entry = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    raw = ("{" + ",".join(f'"{i}":{entry}' for i in range(350_000)) + "}").encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(raw)) + raw)


def gguf(change: Callable[[bytearray], object]) -> Callable[[Path], Path]:
    """The model as a GGUF file with other bytes."""

    def rewrite(folder: Path) -> Path:
        from zhilu.engine.testing_gguf import write_gguf

        file = write_gguf(folder.parent / f"{folder.name}.gguf", folder, "Q8_0")
        raw = bytearray(file.read_bytes())
        kept = change(raw)
        file.write_bytes(kept if isinstance(kept, bytes | bytearray) else raw)
        return file

    return rewrite


def patched(at: int, value: bytes) -> Callable[[bytearray], None]:
    def change(raw: bytearray) -> None:
        raw[at : at + len(value)] = value

    return change


def overlapping(raw: bytearray) -> None:
    at = raw.rindex(b"blk.0.ffn_up.weight") + len(b"blk.0.ffn_up.weight")
    raw[at + 24 : at + 32] = bytes(8)


def twice_in_gguf(raw: bytearray) -> None:
    first, second = b"blk.0.attn_norm.weight", b"blk.1.attn_norm.weight"
    at = raw.rindex(second)
    raw[at : at + len(second)] = first


DEEP = "[" * 200_000 + "]" * 200_000
HUGE_STRING = struct.pack("<Q", 2**60)

# What is wrong -> (how it is made, what is said, and by which verb at the latest: import, show or serve; those after it
# refuse as well, unless the verbs are listed).
CASES: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "weights of zero bytes": (text(WEIGHTS, b""), "no safetensors header", "import"),
    "weights cut in the middle": (cut, "cut off", "import"),
    "a header of 2^60 bytes": (text(WEIGHTS, struct.pack("<Q", 2**60) + b"{}"), "no safetensors header", "import"),
    "a header of brackets": (text(WEIGHTS, struct.pack("<Q", len(DEEP)) + DEEP.encode()), "header cannot be read", "import"),
    "a header of 17 MB": (many_tensors, "larger than 16 MiB", "import"),
    "a header that is a list": (text(WEIGHTS, struct.pack("<Q", 2) + b"[]"), "header cannot be read", "import"),
    "a pickle under the weights' name": (text(WEIGHTS, pickle.dumps({"a": [1.0] * 99})), "no safetensors header", "import"),
    "nothing but a pickle": (lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"), "pickle", "import"),
    "negative sizes": (header(lambda h: h["model.norm.weight"].update(shape=[-8, -8])), "shape", "import"),
    "sizes of 2^62": (header(lambda h: h["model.norm.weight"].update(shape=[2**62, 2**62])), "shape", "import"),
    "sizes that are words": (header(lambda h: h["model.norm.weight"].update(shape=["a"])), "shape", "import"),
    "two tensors in one place": (
        header(lambda h: h["model.layers.1.input_layernorm.weight"].update(h["model.norm.weight"])),
        "overlap",
        "import",
    ),
    "a tensor behind the end": (
        header(lambda h: h["model.norm.weight"].update(data_offsets=[2**50, 2**50 + 256])),
        "cut off",
        "import",
    ),
    "NaN in a matrix": (tensors(set_value("model.layers.1.mlp.up_proj.weight", np.nan)), "NaN", "serve"),
    "infinity in a norm": (tensors(set_value("model.norm.weight", np.inf)), "NaN or infinity", "serve"),
    "shapes of another configuration": (config(intermediate_size=96), "wrong shape", "serve"),
    "a tensor is missing": (tensors(lambda t: t.pop("model.norm.weight")), "missing: model.norm.weight", "serve"),
    "eight-bit floats without scales": (as_float8, "F8_E4M3", "serve"),
    "GPTQ's tensors, not announced": (
        tensors(lambda t: t.update({"model.layers.0.mlp.up_proj.qweight": np.zeros((8, 128), np.int32)})),
        "I32",
        "serve",
    ),
    "an index that leaves the folder": (sharded({"a": "../../../../etc/passwd"}), "outside", "import"),
    "an index with an absolute path": (sharded({"a": "/etc/passwd"}), "outside", "import"),
    "an index of a shard that is not there": (sharded({"a": "model-00002-of-00002.safetensors"}), "model-00002-of-00002", "import"),
    "an index without a map": (sharded([1, 2]), "weight_map", "import"),
    "an index of numbers": (sharded({"a": 7}), "weight_map", "import"),
    "a folder in place of the weights": (a_folder(WEIGHTS), "safetensors", "import"),
    "a folder in place of the configuration": (a_folder("config.json"), "config.json", "import"),
    "a link to another's secrets": (a_link("tokenizer_config.json", "/etc/passwd"), "outside", "import serve"),
    "a link to itself": (a_link("tokenizer.json", "tokenizer.json"), "tokenizer.json", "import"),
    "a configuration of zero bytes": (text("config.json", b""), "config.json", "import"),
    "a configuration of brackets": (text("config.json", DEEP), "config.json", "import"),
    "a configuration of 80 MB": (text("config.json", b'{"a": "' + b"x" * 80_000_000 + b'"}'), "larger than", "import"),
    "a configuration that is no UTF-8": (text("config.json", b'\xff\xfe{\x00'), "config.json", "import"),
    "no architecture": (config(architectures=None), "architecture", "import"),
    "architectures that are a number": (config(architectures=7), "architecture", "import"),
    "a thousand million layers": (config(num_hidden_layers=10**9), "num_hidden_layers", "show"),
    "minus two layers": (config(num_hidden_layers=-2), "num_hidden_layers", "show"),
    "no heads": (config(num_attention_heads=0), "num_attention_heads", "show"),
    "half a head": (config(num_attention_heads=2.5), "num_attention_heads", "show"),
    "a hidden size of 2^60": (config(hidden_size=2**60), "hidden_size", "show"),
    "heads of an odd size": (config(head_dim=15), "pairs", "show"),
    "positions that grow with nothing": (config(rope_parameters={"rope_theta": 0.0, "rope_type": "default"}), "positive", "show"),
    "positions that are a list": (config(rope_parameters=[1]), "cannot be understood", "show"),
    "positions of NaN": (config(rope_parameters={"rope_type": "linear", "factor": "nan"}), "finite", "show"),
    "layers of an unknown kind": (config(layer_types=["chunked_attention"] * 2), "chunked_attention", "show"),
    "an end that is a word": (config(eos_token_id="x"), "cannot be understood", "show"),
    "weights by AWQ": (config(quantization_config={"quant_method": "awq", "bits": 4}), "awq", "show"),
    "weights by compressed-tensors": (config(quantization_config={"quant_method": "compressed-tensors"}), "compressed-tensors", "show"),
    "quantized by a number": (config(quantization_config=4), "quantized", "show"),
    "no tokenizer": (gone("tokenizer.json"), "tokenizer.json is missing", "import"),
    "a tokenizer of brackets": (text("tokenizer.json", DEEP), "tokenizer.json", "import serve"),
    "a tokenizer of something else": (text("tokenizer.json", '{"model": {"type": "none"}}'), "tokenizer", "serve"),
    "a tokenizer larger than the weights": (few_words, "different models", "serve"),
    "a generation's end that is a word": (text("generation_config.json", '{"eos_token_id": "x"}'), "eos_token_id", "serve"),
    "a chat template that is a number": (edit("tokenizer_config.json", chat_template=7), "chat template", "serve"),
    "a chat template that is no template": (edit("tokenizer_config.json", chat_template="{% for %}"), "chat template", "serve"),
    "a chat template without an end": (
        edit("tokenizer_config.json", chat_template="{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"),
        "too much",
        "serve",
    ),
    "a tensor that is there twice": (twice, "overlap", "import"),
    "a folder named like a GGUF file": (only_a_folder, "cannot be read", "import"),
    "GGUF with a tensor twice": (gguf(twice_in_gguf), "twice", "serve"),
    "GGUF of zero bytes": (gguf(lambda raw: b""), "GGUF", "import"),
    "GGUF with another magic": (gguf(patched(0, b"GGML")), "GGUF", "import"),
    "GGUF cut in the middle": (gguf(lambda raw: raw[: len(raw) // 2]), "cut", "import"),
    "GGUF of 2^60 tensors": (gguf(patched(8, struct.pack("<Q", 2**60))), "tensors", "import"),
    "GGUF of 2^60 facts": (gguf(patched(16, struct.pack("<Q", 2**60))), "facts", "import"),
    "GGUF with a text of 2^60 bytes": (gguf(patched(24, HUGE_STRING)), "text of", "import"),
    "GGUF with overlapping tensors": (gguf(overlapping), "overlap", "serve"),
}  # fmt: skip


def steps(context: Any, name: str, path: Path) -> dict[str, Callable[[], Any]]:
    """The three verbs. Serving goes as far as the engine's own process would: everything but the sockets."""
    from zhilu.engine.engine import load_engine
    from zhilu.engine.options import EngineOptions
    from zhilu.models.inspect import estimate_memory
    from zhilu.models.offers import import_any
    from zhilu.models.store import ModelStore
    from zhilu.serving.cli import find_model
    from zhilu.serving.engines import engine_registry
    from zhilu.serving.facts import LaunchOptions
    from zhilu.serving.supervise.preflight import preflight

    def show() -> Any:
        info = ModelStore(context).get(name)
        if info.parameters:
            estimate_memory(Path(info.path))
        return info.why_not

    def serve() -> None:
        found = find_model(context, name)
        preflight(engine_registry().get("zhilu"), found, LaunchOptions(threads=1, home=context.home.path))
        engine = load_engine(EngineOptions(found.path, max_len=64, threads=1))
        engine.tokenizer.render_chat([{"role": "user", "content": "hello"}], None, True)

    return {"import": lambda: import_any(context, str(path), f"{name}-taken"), "show": show, "serve": serve}


def attempt(step: Callable[[], Any]) -> dict[str, Any]:
    from zhilu.errors import ZhiluError

    started = time.monotonic()
    try:
        said = step()
        told = {"en": said["en"], "zh": said["zh"]} if isinstance(said, dict) else None
        kind = "shown" if told else "fine"
    except ZhiluError as error:
        kind, told = "refused", {"en": error.message.en, "zh": error.message.zh}
    except Exception as error:
        kind, told = "crashed", {"en": f"{type(error).__name__}: {error}"[:500], "zh": ""}
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"kind": kind, "told": told, "seconds": time.monotonic() - started, "peak_kb": grown}


def limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, resource.RLIM_INFINITY))


def main(work: Path) -> None:
    from zhilu.context import open_context
    from zhilu.engine.testing import make_tiny_model

    os.environ["ZHILU_HOME"] = str(work / "home")
    context = open_context()
    sound = make_tiny_model(work / "sound", "llama")
    shutil.copytree(sound, context.home.models / "sound")
    for verb, step in steps(context, "sound", sound).items():
        print(json.dumps({"case": "sound", "verb": verb, **attempt(step)}), flush=True)
    if sys.platform.startswith("linux"):
        limit_memory()
    for number, (case, (damage, _, _)) in enumerate(CASES.items()):
        name = f"m{number}"
        path = work / "models" / name
        shutil.copytree(sound, path)
        file = damage(path)
        stored = context.home.models / name  # as if it had become so after it was taken in
        if isinstance(file, Path) and file.suffix == ".gguf":
            path = file
            stored.mkdir()
            shutil.copy(file, stored)
        else:
            shutil.copytree(path, stored, symlinks=True)
        for verb, step in steps(context, name, path).items():
            print(json.dumps({"case": case, "verb": verb, **attempt(step)}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
