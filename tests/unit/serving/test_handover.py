"""A model in the hands of another program: both spellings by links, and a proof of its reading before it is ready."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context, open_context
from zhilu.engine.model.config import read_config
from zhilu.engine.model.spellings import both_spellings, tokenizer_spellings
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.testing_gguf import write_gguf
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import UnreachableError
from zhilu.messages import T
from zhilu.models import shipped
from zhilu.registry import Registry
from zhilu.serving.catalog import FixedCatalog
from zhilu.serving.engines import engine_registry
from zhilu.serving.engines.handover import content_key, hand_over, release, sweep
from zhilu.serving.engines.llamacpp import LlamaCppEngine
from zhilu.serving.engines.ollama import OllamaEngine
from zhilu.serving.facts import Launch, LaunchOptions, ProofFacts, ServedModel
from zhilu.serving.proofs.handover_proof import Difference, agrees, compare
from zhilu.serving.proofs.own_reading import OwnReading, read
from zhilu.serving.served import Served
from zhilu.serving.supervise.engine_process import log_path
from zhilu.serving.supervise.supervisor import Supervisor
from zhilu.serving.testing import ScriptedEngine

NANO = Path(shipped.__file__).parent / "nano"
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}


@pytest.mark.parametrize(
    ("given", "theta", "scaling"),
    [
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, 5e5, None),
        ({"rope_parameters": {"rope_theta": 1e6, **YARN}}, 1e6, {**YARN, "type": "yarn"}),
        ({"rope_theta": 1e6, "rope_scaling": None}, 1e6, None),
        (
            {"rope_theta": 1e6, "rope_scaling": {"type": "linear", "factor": 2.0}},
            1e6,
            {"type": "linear", "rope_type": "linear", "factor": 2.0},
        ),
        ({"rope_theta": 1e4, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}, 1e6, None),
    ],
)
def test_a_configuration_says_the_positions_in_both_spellings(
    given: dict[str, Any], theta: float, scaling: dict[str, Any] | None
) -> None:
    said = both_spellings(given)
    assert said["rope_theta"] == theta == said["rope_parameters"]["rope_theta"] and said["rope_scaling"] == scaling
    new = {key: value for key, value in said["rope_parameters"].items() if key != "rope_theta"}
    assert new == {"rope_type": "default"} if scaling is None else new["factor"] == scaling["factor"]
    assert both_spellings(said) == said, "a second time changes nothing"


def test_layers_of_two_kinds_and_a_part_for_text_have_their_old_keys() -> None:
    kinds = {"full_attention": {"rope_theta": 1e6, "rope_type": "default"}, "sliding_attention": {"rope_theta": 1e4}}
    said = both_spellings({"text_config": {"rope_parameters": kinds}, "dtype": "bfloat16"})
    assert said["torch_dtype"] == "bfloat16"
    assert said["text_config"]["rope_theta"] == 1e6 and said["text_config"]["rope_local_base_freq"] == 1e4
    assert said["text_config"]["rope_parameters"] == kinds


LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip


@pytest.mark.parametrize("spelling", ["new", "old"])
def test_both_spellings_are_the_same_model_to_ourselves_and_to_transformers(tmp_path: Path, spelling: str) -> None:
    transformers = pytest.importorskip("transformers")
    model = make_tiny_model(tmp_path / "m", rope_parameters={"rope_theta": 123456.0, **LLAMA3})
    if spelling == "old":  # as transformers 4 saved it
        config = json.loads((model / "config.json").read_text())
        rope = config.pop("rope_parameters")
        config |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
        (model / "config.json").write_text(json.dumps(config))
    made = hand_over(model, tmp_path / "cache")
    assert read_config(made) == read_config(model) and read_config(made).rope.theta == 123456.0
    config = transformers.AutoConfig.from_pretrained(made)
    assert config.rope_parameters["rope_theta"] == 123456.0 and config.rope_parameters["rope_type"] == "llama3"
    # A reader of the old spelling alone.
    written = json.loads((made / "config.json").read_text())
    del written["rope_parameters"]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.json").write_text(json.dumps(written))
    assert read_config(tmp_path / "old") == read_config(model)


@pytest.mark.parametrize(
    ("inside", "beside", "text"),
    [
        (None, "{{ a }}", "{{ a }}"),
        ("{{ b }}", None, "{{ b }}"),
        ("{{ b }}", "{{ a }}", "{{ a }}"),
        ([{"name": "default", "template": "d"}, {"name": "rag", "template": "r"}], None, "d"),
        (None, None, None),
    ],
)
def test_a_template_stands_in_both_places(inside: Any, beside: str | None, text: str | None) -> None:
    said, written = tokenizer_spellings({"chat_template": inside} if inside else {}, beside)
    assert written == text
    if isinstance(inside, list):
        assert said["chat_template"] == inside
    else:
        assert said.get("chat_template") == text


def test_what_transformers_5_calls_otherwise_in_a_tokenizer() -> None:
    said, _ = tokenizer_spellings({"extra_special_tokens": ["<x>"], "tokenizer_class": "TokenizersBackend"}, None)
    assert said == {"additional_special_tokens": ["<x>"], "tokenizer_class": "PreTrainedTokenizerFast"}
    kept = {"extra_special_tokens": {"image_token": "<i>"}, "tokenizer_class": "Qwen2Tokenizer"}
    assert tokenizer_spellings(kept, None)[0] == kept


def _moved_template(model: Path) -> Path:
    """As transformers 5 saves it: the template in a file of its own."""
    stated = json.loads((model / "tokenizer_config.json").read_text())
    (model / "chat_template.jinja").write_text(stated.pop("chat_template"))
    (model / "tokenizer_config.json").write_text(json.dumps(stated))
    return model


@pytest.mark.parametrize("links", ["read", "imported"])
def test_a_folder_is_linked_once_and_gone_when_its_model_is(tmp_path: Path, links: Any) -> None:
    model, cache = _moved_template(make_tiny_model(tmp_path / "m")), tmp_path / "cache"
    (model / "old.bin").write_bytes(b"pickle")
    (model / "modeling.py").write_text("print()")
    made = hand_over(model, cache, links)
    assert made.name == "m" and hand_over(model, cache, links) == made
    weights = made / "model.safetensors"
    assert weights.samefile(model / "model.safetensors") and weights.is_symlink() == (links == "read")
    assert not {"old.bin", "modeling.py"} & {path.name for path in made.iterdir()}
    assert Tokenizer(made).render_chat([{"role": "user", "content": "x"}]) == Tokenizer(model).render_chat(
        [{"role": "user", "content": "x"}]
    )
    assert json.loads((made / "tokenizer_config.json").read_text())["chat_template"]
    assert json.loads((made / "config.json").read_text())["rope_theta"] == 10000.0
    assert sweep(cache) == []
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "rope_theta": 5.0}))
    again = hand_over(model, cache, links)
    assert again != made and not made.exists() and again.exists()
    shutil.rmtree(model)
    assert sweep(cache) == [again.parent] and not any(cache.iterdir())


def test_a_folder_that_was_imported_is_let_go(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "m")
    made = hand_over(model, tmp_path / "cache", "imported")
    assert (model / "model.safetensors").stat().st_nlink == 2
    release(made)
    assert (model / "model.safetensors").stat().st_nlink == 1
    release(model)
    assert model.is_dir(), "only what was made here"


def test_every_engine_that_is_not_ours_and_loads_a_model_is_proven() -> None:
    registry = engine_registry()
    for name in registry.names():
        facts = registry.get(name).facts
        assert (facts.proof is not None) == (facts.is_process and name != "zhilu"), name


STEPS = [[("I", -0.1), ("A", -4.0)], [(" am", -0.7), (" will", -0.9)], [(" here", -0.1), (" gone", -5.0)]]


@pytest.mark.parametrize(
    ("text", "is_same"),
    [
        ("I am here", True),
        ("I am", True),
        ("I will not", True),  # almost as likely
        ("A dog", False),
        ("I am gone", False),
        ("????????", False),
        ("", False),
    ],
)
def test_an_answer_agrees_up_to_where_two_tokens_were_almost_alike(text: str, is_same: bool) -> None:
    assert agrees(text, STEPS) is is_same


def _told(count: int, text: str = "Hello there, friend") -> dict[str, Any]:
    return {"usage": {"prompt_tokens": count}, "choices": [{"message": {"content": text}}]}


@pytest.mark.parametrize(
    ("counts", "facts", "cause"),
    [
        ((30, 29), ProofFacts(), None),
        ((29, 28), ProofFacts(counts_off=(-1, 0)), None),
        ((29, 28), ProofFacts(), "says less"),
        ((29, 29), ProofFacts(counts_off=(-1, 0)), "otherwise"),
        ((31, 30), ProofFacts(), "twice"),
        ((14, 13), ProofFacts(), "did not find the chat template"),
        ((45, 44), ProofFacts(), "adds words"),
        ((30, 31), ProofFacts(), "cuts the text otherwise"),
    ],
)
def test_a_difference_in_the_count_has_a_cause(counts: tuple[int, int], facts: ProofFacts, cause: str | None) -> None:
    own = OwnReading([[{}, {}], [{}, {}]], [30, 29], [9, 8])
    found = compare(own, [_told(count) for count in counts], facts)
    if cause is None:
        assert isinstance(found, T)
    else:
        assert isinstance(found, Difference) and cause in found.cause.en and found.cause.zh != found.cause.en


def test_noise_is_known_without_any_reference() -> None:
    own = OwnReading([[{}, {}], [{}, {}]], [30, 29], [7, 6])
    found = compare(own, [_told(30, "????????"), _told(29, "????????")], ProofFacts())
    assert isinstance(found, Difference) and "rope_theta" in found.cause.en and "rope_theta" in found.cause.zh


# ---------------------------------------------------------------- in the supervisor, with engines as real processes


@pytest.fixture
def context(own_home: Path) -> Any:
    context = open_context()
    yield context
    context.close()


def _serve(context: Context, engine: Any, model: ServedModel) -> Served | UnreachableError:
    """What became of a start: the model when it is ready, or the refusal."""

    async def main() -> Served | UnreachableError:
        registry: Registry[Any] = Registry(T("engine", "引擎"))
        registry.add(engine.facts.name, engine)
        supervisor = Supervisor(context, FixedCatalog(model), registry=registry)
        try:
            return await supervisor.ensure(model.name)
        except UnreachableError as error:
            served = supervisor.states()[model.name]
            assert served.state == "failed" and served.restarts == 0 and served.pid is None
            return error
        finally:
            await supervisor.aclose()

    return asyncio.run(main())


def _scripted(*flags: str, **facts: Any) -> ScriptedEngine:
    return ScriptedEngine(flags, replace(ScriptedEngine.facts, proof=ProofFacts(), rank={"cpu": 1, "gpu": 1}, **facts))


def _beginning(model: Path) -> str:
    """What the model itself says to the first prompt."""
    return "".join(step[0][0] for step in read(model, 8).beginnings[0])


def test_an_engine_that_lost_the_template_is_refused_before_it_is_ready(tmp_path: Path, context: Context) -> None:
    model = make_tiny_model(tmp_path / "m")
    lost = tmp_path / "lost"
    shutil.copytree(model, lost)
    stated = json.loads((lost / "tokenizer_config.json").read_text())
    del stated["chat_template"]
    (lost / "tokenizer_config.json").write_text(json.dumps(stated))
    refused = _serve(context, _scripted("--reads", str(lost)), ServedModel("m", model))
    assert isinstance(refused, UnreachableError)
    assert "did not find the chat template" in refused.message.en and "--engine zhilu" in refused.message.en
    assert "没有找到对话模板" in refused.message.zh
    assert "did not find the chat template" in log_path(context.home.logs, "m").read_text()


def test_a_gguf_file_is_proven_where_the_engine_makes_a_template_of_its_own(tmp_path: Path, context: Context) -> None:
    """Ollama reads the weights of a GGUF file as they are, but its template is a translation of the model's."""
    folder = make_tiny_model(tmp_path / "m")
    path = write_gguf(tmp_path / "m.gguf", folder)
    formats = frozenset({"safetensors", "gguf"})
    facts = OllamaEngine.facts
    assert facts.proof is not None and facts.proof.formats == formats >= facts.formats
    lost = tmp_path / "lost"
    shutil.copytree(folder, lost)
    stated = json.loads((lost / "tokenizer_config.json").read_text())
    (lost / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in stated.items() if k != "chat_template"}))

    def engine(reads: Path, *flags: str) -> ScriptedEngine:
        made = _scripted("--reads", str(reads), *flags)
        return ScriptedEngine(made.flags, replace(made.facts, proof=facts.proof, formats=facts.formats))

    refused = _serve(context, engine(lost), ServedModel("m", path))
    assert isinstance(refused, UnreachableError) and "did not find the chat template" in refused.message.en
    otherwise = _serve(context, engine(path, "--says", "surely other words"), ServedModel("m", path))
    assert isinstance(otherwise, UnreachableError) and "rope_theta" in otherwise.message.en


def test_an_engine_that_answers_otherwise_is_refused(tmp_path: Path, context: Context) -> None:
    model = make_tiny_model(tmp_path / "m")
    engine = _scripted("--reads", str(model), "--says", "surely other words")
    refused = _serve(context, engine, ServedModel("m", model))
    assert isinstance(refused, UnreachableError) and "rope_theta" in refused.message.en


def test_what_we_cannot_read_ourselves_is_not_proven_and_runs(tmp_path: Path, context: Context) -> None:
    model = make_tiny_model(tmp_path / "m")
    (model / "tokenizer.json").unlink()
    served = _serve(context, _scripted(), ServedModel("m", model))
    assert isinstance(served, Served)
    assert "not proven" in log_path(context.home.logs, "m").read_text()


def test_an_engine_gets_the_folder_of_links_and_the_reading_is_kept(tmp_path: Path, context: Context) -> None:
    model = _moved_template(make_tiny_model(tmp_path / "m"))

    class Told(ScriptedEngine):
        def launch(self, given: ServedModel, options: LaunchOptions, port: int) -> Launch:
            return replace(super().launch(given, options, port), env={"GIVEN": str(given.path)})

    seen = _scripted("--reads", str(model), "--says", _beginning(model), handed="read")
    served = _serve(context, Told(seen.flags, seen.facts), ServedModel("m", model))
    # Its two answers are one text, so the second prompt's beginning may differ: what counts is where it was pointed at.
    given = (context.home.cache / "handover").glob("*/m/config.json")
    assert "rope_theta" in json.loads(next(given).read_text())
    assert (context.home.cache / "proofs" / f"{content_key(model)}.json").is_file()
    assert served is not None


class _Broken(LlamaCppEngine):
    """llama.cpp with a hand-over that lost something: it gets ``folder`` in the model's place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        return super().launch(replace(model, path=self.folder), options, port)


def _nano(folder: Path, config: Mapping[str, Any], template: str | None = None) -> Path:
    shutil.copytree(NANO, folder)
    if template is not None:
        stated = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "chat_template.jinja").unlink(missing_ok=True)
        (folder / "tokenizer_config.json").write_text(json.dumps({**stated, "chat_template": template}))
    own = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**own, **config}))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("broken", [None, "template", "rope_theta"])
def test_llama_cpp_in_earnest(tmp_path: Path, context: Context, broken: str | None) -> None:
    pytest.importorskip("xllamacpp")
    engine: LlamaCppEngine = LlamaCppEngine()
    if broken == "template":  # without any, llama.cpp takes the one that nano has
        plain = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
        engine = _Broken(_nano(tmp_path / "lost", {}, plain))
    elif broken:
        engine = _Broken(_nano(tmp_path / "lost", {"rope_theta": None}))
    found = _serve(context, engine, ServedModel("nano", NANO))
    log = log_path(context.home.logs, "nano").read_text()
    if broken is None:
        assert isinstance(found, Served), found
        assert "proven: two prompts of" in log and "answers that begin as ours" in log
        return
    assert isinstance(found, UnreachableError), log
    assert ("chat template" if broken == "template" else "rope_theta") in found.message.en
