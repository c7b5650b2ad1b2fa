"""After a run: the merged model is base and adapter, a GGUF file answers as it does, and what is another thing is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context
from zhilu.errors import ConflictError, InputError, NotFoundError
from zhilu.models import ModelStore
from zhilu.models.shipped import NANO
from zhilu.tuning.after.ollama import modelfile, words_around

pytestmark = pytest.mark.usefixtures("needs_torch")


@pytest.mark.timeout(300)
def test_a_merged_model_is_base_and_adapter_in_every_form(tuned: tuple[Context, Any], tmp_path: Path) -> None:
    from zhilu.tuning.after.exports import export_run
    from zhilu.tuning.after.merge import merge_run

    context, run = tuned
    merged = merge_run(context, "pirate-talk")
    assert (merged.model, merged.dtype) == ("pirate-talk-merged", "float32")
    assert merged.apart < 1e-5
    assert merged.equal_tokens == merged.positions > 50
    folder = ModelStore(context).path_of(merged.model)
    config = json.loads((folder / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 1e6
    assert config["torch_dtype"] == config["dtype"] == "float32"
    stated = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
    assert stated == (folder / "chat_template.jinja").read_text()
    with pytest.raises(ConflictError, match="already"):
        merge_run(context, "pirate-talk")

    gguf = export_run(context, "pirate-talk", "gguf", "f32")
    assert gguf.tokens is not None and gguf.tokens > 20
    assert gguf.equal_tokens == gguf.tokens
    made = export_run(context, "pirate-talk", "ollama", "q8_0", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["Modelfile", "pirate-talk-q8_0.gguf"]
    assert made.templated
    plain = export_run(context, "pirate-talk", "safetensors")
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= {p.name for p in Path(plain.folder).iterdir()}
    assert [e.format for e in run.info().exports] == ["gguf", "ollama", "safetensors"]
    with pytest.raises(ConflictError, match="not empty"):
        export_run(context, "pirate-talk", "gguf", to=tmp_path / "out")
    with pytest.raises(NotFoundError):
        export_run(context, "nobody", "gguf")


@pytest.mark.timeout(300)
def test_what_is_another_model_is_refused(tuned: tuple[Context, Any], tmp_path: Path) -> None:
    """Another base by its hash, wherever the adapter is read; a GGUF file of other weights by its first answers."""
    from safetensors.torch import load_file, save_file

    from zhilu.engine.convert_gguf import convert
    from zhilu.engine.model.adapters import read_adapter
    from zhilu.engine.model.config import read_config
    from zhilu.tuning.after.exports import prove_gguf
    from zhilu.tuning.after.merge import merge_run

    context, run = tuned
    adapter = context.home.adapters / "pirate-talk"
    assert read_adapter("a", adapter, read_config(NANO), NANO).rank == 8
    other = tmp_path / "other"
    shutil.copytree(NANO, other)
    tensors = load_file(NANO / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    tensors[name] = -tensors[name]
    save_file(tensors, other / "model.safetensors")
    with pytest.raises(ConflictError, match="trained on 'zhilu-nano'"):
        read_adapter("a", adapter, read_config(other), other)
    info = run.info()
    file = tmp_path / "base.gguf"
    convert(NANO, file, "f32")
    with pytest.raises(ConflictError, match="otherwise"):
        prove_gguf(other, file, info, "f32")
    ModelStore(context).import_folder(other, "other")
    run.write(info.model_copy(update={"config": info.config.model_copy(update={"model": "other"})}))
    with pytest.raises(ConflictError, match="trained on"):
        merge_run(context, "pirate-talk")
    run.write(info.model_copy(update={"outcome": None}))
    with pytest.raises(InputError, match="not finished"):
        merge_run(context, "pirate-talk")


def test_a_modelfile_states_the_template_and_the_stops() -> None:
    """Put together from the words around messages, a chat is what the model's own template renders."""
    from zhilu.engine.text.tokenizer import Tokenizer

    around = words_around(Tokenizer(NANO))
    assert around is not None
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi {{ x }}"}]
    assert around.render(said) == Tokenizer(NANO).render_chat(said, None, add_generation_prompt=True)
    text, templated = modelfile(NANO, "m.gguf")
    assert templated
    assert text.startswith("FROM ./m.gguf\nTEMPLATE ")
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert "{{ range .Messages }}" in text and 'eq .Role "system"' in text


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_form_is_proven_at_the_endpoint_and_by_the_gates(tuned: tuple[Context, Any]) -> None:
    """Adapter and merged model in the running engine, the GGUF file in llama.cpp, and gates 3.3 and 3.4."""
    import asyncio

    from zhilu.gate import Status
    from zhilu.tuning.after.exports import export_run
    from zhilu.tuning.after.parity import check_parity
    from zhilu.tuning.gates import check_merged, check_served

    context, _ = tuned
    assert check_merged(context).status is Status.NOT_YET
    export_run(context, "pirate-talk", "gguf", "f32")
    found = asyncio.run(check_parity(context, "pirate-talk"))
    assert found.equal, found.said.en
    assert found.merged is not None and found.merged.equal == found.prompts
    assert found.llamacpp is not None and found.llamacpp.equal == found.llamacpp.compared > 20
    served = check_served(context)
    assert served.status is Status.PASSED, served.why.en
    merged = check_merged(context)
    assert merged.status is Status.PASSED, merged.why.en
