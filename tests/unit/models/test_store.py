from __future__ import annotations

import hashlib
import json
import os
import shutil

import psutil
import pytest

from zhilu.engine.testing import make_tiny_model
from zhilu.errors import ConflictError, InputError, NotFoundError, UnsupportedError
from zhilu.models import EMBEDDED, list_adapters
from zhilu.models import store as store_module
from zhilu.models.inspect import card_markdown, estimate_memory


def test_the_embedded_model_is_always_there_and_stays(store):
    first = store.list()[0]
    assert (first.name, first.embedded, first.source) == (EMBEDDED, True, "embedded")
    with pytest.raises(ConflictError, match="part of the program"):
        store.remove(EMBEDDED)


@pytest.mark.parametrize("shards", [1, 3])
def test_import_counts_what_is_in_the_files(store, tmp_path, shards):
    source = make_tiny_model(
        tmp_path / "tiny", "qwen3", shards=shards, num_hidden_layers=3, max_position_embeddings=777
    )
    (source / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0 # free\n---\n# Tiny\n")
    (source / "notes.pdf").write_bytes(b"not part of a model")
    info = store.import_folder(source)
    assert (info.name, info.source, info.architecture, info.dtype) == ("tiny", "folder", "Qwen3ForCausalLM", "f32")
    per_layer = 64 * 64 * 2 + 32 * 64 * 2 + 3 * 64 * 128 + 2 * 16 + 2 * 64
    assert info.parameters == info.vocab_size * 64 + 3 * per_layer + 64
    assert (info.context_length, info.license, info.card) == (777, "apache-2.0", True)
    assert (info.supported, info.why_not, info.state) == (True, None, "stopped")
    assert info.size_bytes > info.parameters * 4
    folder = store.path_of("tiny")
    assert not (folder / "notes.pdf").exists()
    note = json.loads((folder / "zhilu.json").read_text())
    for name, digest in note["sha256"].items():
        assert hashlib.sha256((source / name).read_bytes()).hexdigest() == digest
    assert card_markdown(folder) == {"en": "# Tiny\n", "zh": "# Tiny\n"}
    assert [model.name for model in store.list()] == [EMBEDDED, "tiny"]


def test_weights_are_linked_not_copied(store, tmp_path):
    source = make_tiny_model(tmp_path / "tiny")
    store.import_folder(source, "linked")
    assert os.path.samefile(source / "model.safetensors", store.path_of("linked") / "model.safetensors")
    assert not os.path.samefile(source / "config.json", store.path_of("linked") / "config.json")


def test_where_links_are_impossible_it_copies(store, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(store_module.os, "link", refuse)
    source = make_tiny_model(tmp_path / "tiny")
    store.import_folder(source)
    copied = store.path_of("tiny") / "model.safetensors"
    assert copied.read_bytes() == (source / "model.safetensors").read_bytes()
    assert not os.path.samefile(source / "model.safetensors", copied)


def test_an_import_cut_off_leaves_nothing_to_see_and_is_finished_by_the_next(store, tmp_path, monkeypatch):
    source = make_tiny_model(tmp_path / "tiny", shards=4)

    def die(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.import_folder(source, on_bytes=die)
    assert [model.name for model in store.list()] == [EMBEDDED]
    taken = []
    original = store_module.os.link
    monkeypatch.setattr(store_module.os, "link", lambda a, b: (taken.append(a), original(a, b)))
    assert store.import_folder(source).name == "tiny"
    assert taken == []


def test_a_taken_or_impossible_name_is_refused(store, tmp_path):
    source = make_tiny_model(tmp_path / "tiny")
    store.import_folder(source)
    with pytest.raises(ConflictError, match="'tiny' already"):
        store.import_folder(source)
    with pytest.raises(ConflictError, match="zhilu-nano"):
        store.import_folder(source, EMBEDDED)
    for name in ("../up", ".hidden", "a/b", "", "-x", "a" * 101):
        if name:
            with pytest.raises(InputError, match="cannot be a model's name"):
                store.import_folder(source, name)


def test_remove(store, tmp_path):
    store.import_folder(make_tiny_model(tmp_path / "tiny"))
    made = store.context.home.cache / "engine"
    made.mkdir(parents=True)
    for name in ("tiny~0a1b.constants", "tiny-2~0a1b.constants"):
        (made / name).write_bytes(b"")
    store.remove("tiny")
    assert [path.name for path in made.iterdir()] == ["tiny-2~0a1b.constants"]  # nobody else's
    assert list(store.folder.iterdir()) == []
    with pytest.raises(NotFoundError, match="No model 'tiny'"):
        store.remove("tiny")


def test_an_unknown_name_gets_the_nearest(store):
    with pytest.raises(NotFoundError, match=r"No model 'zhilu-nana'\. Did you mean 'zhilu-nano'"):
        store.get("zhilu-nana")
    for outside in ("..", "../models", "/etc"):
        with pytest.raises(NotFoundError):
            store.get(outside)


def test_a_loaded_model_shows_its_state_and_cannot_be_removed(store, tmp_path):
    store.import_folder(make_tiny_model(tmp_path / "tiny"))
    me = {"pid": psutil.Process().pid, "created": psutil.Process().create_time()}
    gone = {**me, "created": 1.0}  # its pid was used again by another process
    note = store.context.home.run / "engines.json"

    def told(state, process, owner, detail=""):
        entry = {"model": "tiny", "engine": "zhilu", "state": state, "detail": detail, "process": process, "port": 1}
        note.write_text(json.dumps([{**entry, "owner": owner}]))
        return store.get("tiny")

    assert (told("ready", me, me).state, store.get("tiny").engine) == ("ready", "zhilu")
    with pytest.raises(ConflictError, match="stop it first"):
        store.remove("tiny")
    assert told("ready", gone, me).state == "stopped"
    assert told("ready", None, me).state == "ready"  # behind a URL
    assert told("failed", None, me, "no room").detail == "no room"
    assert told("failed", None, gone).state == "stopped"
    note.write_text("{broken")
    assert store.get("tiny").state == "stopped"


def test_a_model_the_engine_cannot_run_is_kept_and_says_why(store, tmp_path):
    source = make_tiny_model(tmp_path / "tiny")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "architectures": ["MambaForCausalLM"]}))
    info = store.import_folder(source)
    assert not info.supported
    assert "MambaForCausalLM" in info.why_not["en"]
    assert "MambaForCausalLM" in info.why_not["zh"]


def test_a_broken_folder_is_listed_with_its_reason(store):
    (store.folder / "half").mkdir()
    half = next(model for model in store.list() if model.name == "half")
    assert not half.supported
    assert "config.json" in half.why_not["en"]


def test_memory_is_weights_and_keys_and_values(tmp_path):
    source = make_tiny_model(tmp_path / "tiny", num_hidden_layers=3, num_key_value_heads=2, head_dim=16)
    estimate = estimate_memory(source)
    assert estimate.kv_bytes_per_token == 2 * 3 * 2 * 16 * 2
    assert estimate.full_context_bytes == estimate.weights_bytes + 4096 * estimate.kv_bytes_per_token
    assert estimate.available_bytes > 0


def test_adapters_are_peft_folders(context):
    folder = context.home.adapters / "tone"
    folder.mkdir()
    (context.home.adapters / "broken").mkdir()
    (context.home.adapters / "broken" / "adapter_config.json").write_text("{")
    fields = {"base_model_name_or_path": "tiny", "peft_type": "LORA", "r": 8, "target_modules": ["v_proj", "q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(fields))
    (folder / "adapter_model.safetensors").write_bytes(b"12345")
    (only,) = list_adapters(context)
    assert (only.name, only.base_model, only.rank, only.size_bytes) == ("tone", "tiny", 8, 5)
    assert only.target_modules == ["q_proj", "v_proj"]


def _cut(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def _only_pickles(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _one_shard_less(folder):
    shutil.rmtree(folder)
    make_tiny_model(folder, shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()


def _foreign_index(folder):
    shutil.rmtree(folder)
    make_tiny_model(folder, shards=2)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["model.extra.weight"] = "model-00001-of-00002.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _sentencepiece(folder):
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")


def _one_level_up(folder):
    shutil.move(folder, folder.parent / "inner")
    folder.mkdir()
    shutil.move(folder.parent / "inner", folder / "inner")


def _adapter(folder):
    (folder / "config.json").rename(folder / "adapter_config.json")


def _gguf(folder):
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "q4.gguf").write_bytes(b"GGUF")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (_cut, InputError, r"not a whole model.*cut off"),
        (_only_pickles, UnsupportedError, r"pytorch_model\.bin.*run code.*safetensors"),
        (_one_shard_less, InputError, r"model-00002-of-00003\.safetensors is missing"),
        (_foreign_index, InputError, r"lacks 'model\.extra\.weight'"),
        (_sentencepiece, InputError, r"tokenizer\.json is missing.*AutoTokenizer"),
        (_one_level_up, InputError, r"holds no config\.json, but '.*inner' does"),
        (_adapter, InputError, r"LoRA adapter"),
        (_gguf, InputError, r"'q4\.gguf' is no usable GGUF file: it ends within its head"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 50), InputError, r"no safetensors header"),
        (lambda folder: (folder / "model.safetensors").unlink(), InputError, r"no safetensors weights"),
        (lambda folder: (folder / "config.json").write_text("[1]"), InputError, r"no JSON object"),
        (lambda folder: (folder / "config.json").write_text("{}"), InputError, r"names no architecture"),
        (lambda folder: (folder / "config.json").unlink(), InputError, r"not a model folder"),
        (shutil.rmtree, NotFoundError, r"There is no folder"),
    ],
)
def test_the_wrong_folder_gets_one_clear_message(store, tmp_path, spoil, error, words):
    folder = make_tiny_model(tmp_path / "tiny")
    spoil(folder)
    with pytest.raises(error, match=words) as raised:
        store.import_folder(folder)
    assert raised.value.message.zh != raised.value.message.en
    assert [model.name for model in store.list()] == [EMBEDDED]


def test_all_that_is_wrong_is_said_at_once(store, tmp_path):
    folder = make_tiny_model(tmp_path / "tiny")
    _cut(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"cut off.*; tokenizer\.json is missing"):
        store.import_folder(folder)


def test_a_file_instead_of_its_folder(store, tmp_path):
    folder = make_tiny_model(tmp_path / "tiny")
    with pytest.raises(InputError, match="is a file") as raised:
        store.import_folder(folder / "model.safetensors")
    assert raised.value.fix == f"zhilu model import {folder}"
