"""Ollama's and LM Studio's stores are found and linked; nothing of theirs is copied, changed or removed."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from zhilu.context import open_context
from zhilu.errors import ConflictError, InputError, NotFoundError
from zhilu.models import ModelStore
from zhilu.models.gguf_header import read_gguf_header
from zhilu.models.offers import import_any
from zhilu.models.offers.elsewhere import find_elsewhere, get_elsewhere
from zhilu.models.testing import write_gguf


@pytest.fixture
def context(own_home):
    context = open_context({})
    yield context
    context.close()


@pytest.fixture
def ollama(tmp_path, monkeypatch) -> Path:
    root = tmp_path / "ollama"
    monkeypatch.setenv("OLLAMA_MODELS", str(root))
    (root / "blobs").mkdir(parents=True)
    add(root, "library", "qwen3", "1.7b")
    add(root, "library", "llama3.2", "latest", name="Llama")
    return root


def add(root, owner, model, tag, host="registry.ollama.ai", **facts) -> Path:
    file = write_gguf(root / "made.gguf", **facts)
    digest = f"{len(list((root / 'blobs').iterdir())):064x}"
    blob = root / "blobs" / f"sha256-{digest}"
    file.rename(blob)
    manifest = root / "manifests" / host / owner / model / tag
    manifest.parent.mkdir(parents=True, exist_ok=True)
    layer = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": f"sha256:{digest}",
        "size": blob.stat().st_size,
    }
    other = {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "f" * 64, "size": 9}
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [other, layer]}))
    return blob


def test_ollamas_models_are_found_under_the_names_it_says(ollama):
    add(ollama, "TheOwner", "thing", "q4", host="hf.co")
    found = find_elsewhere()
    assert [(m.app, m.name, m.suggested) for m in found] == [
        ("ollama", "hf.co/TheOwner/thing:q4", "thing-q4"),
        ("ollama", "llama3.2:latest", "llama3.2"),
        ("ollama", "qwen3:1.7b", "qwen3-1.7b"),
    ]
    assert get_elsewhere("llama3.2").name == "llama3.2:latest"
    with pytest.raises(NotFoundError, match=r"Did you mean 'qwen3:1\.7b'"):
        get_elsewhere("qwen3:17b")


def test_a_model_of_ollama_is_linked_and_runs_under_its_own_name(ollama, context):
    info = import_any(context, "qwen3:1.7b")
    blob = Path(find_elsewhere()[1].files["qwen3-1.7b.gguf"])
    file = Path(info.path) / "qwen3-1.7b.gguf"
    assert (info.name, info.format, info.kind, info.linked, info.supported) == (
        "qwen3-1.7b",
        "gguf",
        "chat",
        True,
        True,
    )
    assert file.samefile(blob)
    note = ModelStore(context).note("qwen3-1.7b")
    assert (note["source"], note["origin"]) == ("ollama", "qwen3:1.7b")
    with pytest.raises(ConflictError):
        import_any(context, "qwen3:1.7b")
    ModelStore(context).remove("qwen3-1.7b")
    assert blob.is_file() and read_gguf_header(blob).architecture == "qwen3"


def test_where_hard_links_are_not_possible_it_is_a_symbolic_one(ollama, context, monkeypatch):
    monkeypatch.setattr("zhilu.models.store.os.link", lambda *a: (_ for _ in ()).throw(OSError("another file system")))
    info = import_any(context, "ollama/qwen3:1.7b", "mine")
    file = next(Path(info.path).glob("*.gguf"))
    assert file.is_symlink() and info.supported and info.name == "mine"
    ModelStore(context).remove("mine")
    assert (ollama / "blobs" / f"sha256-{0:064x}").is_file()


@pytest.mark.parametrize(
    "manifest",
    [
        b"{",
        b"[]",
        b'{"layers": 3}',
        b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../etc/passwd"}]}',
        b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:' + b"a" * 64 + b'"}]}',
    ],
)
def test_a_manifest_that_leads_nowhere_is_passed_over(ollama, manifest):
    (ollama / "manifests" / "registry.ollama.ai" / "library" / "qwen3" / "bad").write_bytes(manifest)
    assert len(find_elsewhere()) == 2


def test_lm_studios_models_are_found_with_their_projector(own_home, monkeypatch, context):
    folder = Path.home() / ".lmstudio" / "models" / "publisher" / "Seer-3B-GGUF"
    folder.mkdir(parents=True)
    write_gguf(folder / "Seer-3B-Q4_K_M.gguf")
    write_gguf(folder / "mmproj-Seer-F16.gguf", architecture="clip")
    (found,) = find_elsewhere()
    assert (found.app, found.name) == ("lmstudio", "publisher/Seer-3B-GGUF/Seer-3B-Q4_K_M")
    info = import_any(context, found.name)
    assert sorted(p.name for p in Path(info.path).iterdir()) == [
        "Seer-3B-Q4_K_M.gguf",
        "mmproj-Seer-F16.gguf",
        "zhilu.json",
    ]
    assert info.supported and info.architecture == "qwen3"


def test_a_gguf_file_becomes_a_model_that_is_described_from_its_head(tmp_path, context):
    file = write_gguf(tmp_path / "Tiny-Q8.gguf", values=4096, license="mit")
    info = import_any(context, str(file))
    assert (info.name, info.parameters, info.dtype, info.license) == ("Tiny-Q8", 4096, "f32", "mit")
    assert (info.context_length, info.vocab_size) == (4096, 3)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [({"architecture": "bert"}, "embedder"), ({"pooling": 3}, "embedder"), ({"pooling": 4}, "reranker"), ({}, "chat")],
)
def test_what_a_file_is_for_is_read_from_its_head(tmp_path, context, facts, kind):
    info = import_any(context, str(write_gguf(tmp_path / "x.gguf", **facts)))
    assert (info.kind, info.supported) == (kind, kind == "chat")


def test_broken_files_get_one_message_each(tmp_path, context):
    whole = write_gguf(tmp_path / "whole.gguf", values=4096).read_bytes()
    broken = {
        "magic": (b"GGML" + whole[4:], "does not begin with GGUF"),
        "version": (whole[:4] + struct.pack("<I", 9) + whole[8:], "version 9"),
        "tensors": (whole[:8] + struct.pack("<Q", 1 << 60) + whole[16:], "announces 1152921504606846976 tensors"),
        "cut": (whole[:-100], "is cut off"),
        "head": (whole[:60], "ends within its head"),
        "empty": (b"", "does not begin with GGUF"),
    }
    for name, (content, said) in broken.items():
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            import_any(context, str(path))
    assert [model.name for model in ModelStore(context).list()] == ["zhilu-nano"]
