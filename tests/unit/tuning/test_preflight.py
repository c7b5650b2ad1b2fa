"""Which tokens carry loss: on the embedded model, and on templates of the kinds that common models have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.training.nano.template import segments
from zhilu.tuning.data.check import check_data
from zhilu.tuning.data.formats import RowError
from zhilu.tuning.data.preflight import Preflight, Rendered
from zhilu.tuning.data.records import Example

TOOLS = ({"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}},)
CALL = {"id": "c", "type": "function", "function": {"name": "find", "arguments": '{"what": "钥匙"}'}}
DIALOGUES = {
    "one turn": [("system", "Be brief."), ("user", "Where is the key?"), ("assistant", "\nUnder the mat. 🗝️")],
    "two turns": [("user", "钥匙在哪里？"), ("assistant", "在垫子下面。"), ("user", "And the map?"), ("assistant", "In the car.")],
    "a tool": [("user", "Find it"), ("assistant", CALL), ("tool", "mat"), ("assistant", "Under the mat.")],
}  # fmt: skip


def example(turns: list[tuple[str, object]], tools: tuple = (), unlearned: frozenset[int] = frozenset()) -> Example:
    messages = tuple(
        {"role": r, "content": "", "tool_calls": [c]} if isinstance(c, dict) else {"role": r, "content": c}
        for r, c in turns
    )
    return Example(1, "chat", messages, tools=tools, unlearned=unlearned)  # fmt: skip


def learned(rendered: Rendered) -> list[str]:
    return [text for text, carries in rendered.pieces() if carries]


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Preflight:
    return Preflight.of(open_context({"home": str(tmp_path_factory.mktemp("home"))}), "zhilu-nano")


@pytest.mark.parametrize("turns", DIALOGUES.values(), ids=DIALOGUES)
@pytest.mark.parametrize("unlearned", [frozenset(), frozenset({1})], ids=["all", "but the first"])
def test_the_mask_is_what_the_recipe_of_the_model_learned(
    nano: Preflight, turns: list, unlearned: frozenset[int]
) -> None:
    """The embedded model's recipe has its own account of what is learned, made of segments and not of the template."""
    tools = TOOLS if any(isinstance(content, dict) for _, content in turns) else ()
    asked = example(turns, tools, unlearned if len(turns) > 3 else frozenset())
    messages = [{**m, "learned": at not in asked.unlearned} for at, m in enumerate(asked.messages)]
    want = segments(messages, list(tools))
    (found,) = nano.render(asked)
    assert found.text == "".join(text for text, _ in want)
    assert learned(found) == [text for text, carries in want if carries]
    assert not found.prompt_differs
    assert found.num_learned == sum(len(nano.tokenizer.encode(text)) for text in learned(found))


def made(folder: Path, template: str, end: str | None = "<|im_end|>") -> Preflight:
    make_tiny_model(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": template}))
    tokenizer = Tokenizer(folder)
    ends = frozenset() if end is None else frozenset({tokenizer.id_of(end)})
    return Preflight(tokenizer, ends, 512, "made")


PLAIN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_thoughts_that_a_template_drops_from_earlier_answers(tmp_path: Path) -> None:
    """Each answer is then learned in a sequence of its own, as it is generated: with its thought."""
    drops = PLAIN.replace("{{ m.content }}", "{{ m.content if loop.last else m.content.split('</think>')[-1] }}")
    turns = [("user", "a"), ("assistant", "<think>hm</think>b"), ("user", "c"), ("assistant", "<think>so</think>d")]
    first, second = sorted(made(tmp_path, drops).render(example(turns)), key=lambda one: len(one.text))
    assert learned(first) == ["<think>hm</think>b<|im_end|>"]
    assert learned(second) == ["<think>so</think>d<|im_end|>"]
    assert "hm" not in second.text


def test_a_prompt_that_asks_in_other_words_than_were_trained(tmp_path: Path) -> None:
    asks = PLAIN.replace(
        "<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n\n</think>\n{% endif %}"
    )
    (found,) = made(tmp_path, asks).render(example([("user", "a"), ("assistant", "b")]))
    assert found.prompt_differs
    assert learned(found) == ["b<|im_end|>"]


def test_roles_of_other_names_and_a_template_that_refuses(tmp_path: Path) -> None:
    other = PLAIN.replace("{{ m.role }}", "{{ 'model' if m.role == 'assistant' else m.role }}").replace(
        "assistant\n{% endif", "model\n{% endif"
    )
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + other
    flight = made(tmp_path, refuses)
    (found,) = flight.render(example([("user", "a"), ("assistant", "b")]))
    assert (learned(found), found.prompt_differs) == (["b<|im_end|>"], False)
    with pytest.raises(RowError, match="no system role") as refused:
        flight.render(example(DIALOGUES["one turn"]))
    assert refused.value.code == "template_refuses"


@pytest.mark.parametrize(
    ("template", "end", "code"),
    [
        (PLAIN.replace("<|im_end|>\n{% endfor", "\n\n{% endfor"), "<|im_end|>", "never_ends"),
        (PLAIN, None, "never_ends"),
        (PLAIN.replace("{{ m.content }}<|im_end|>", "{{ m.content if m.role == 'user' }}"), "<|im_end|>", "never_ends"),
        ("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}", "<|im_end|>", "all_masked"),
    ],
)  # fmt: skip
def test_data_that_would_teach_nothing_or_never_end_is_refused(
    tmp_path: Path, template: str, end: str | None, code: str
) -> None:
    with pytest.raises(RowError) as refused:
        made(tmp_path, template, end).render(example([("user", "a"), ("assistant", "b")]))
    assert refused.value.code == code


def test_pairs_and_plain_text(nano: Preflight) -> None:
    user, good, bad = (
        {"role": r, "content": c} for r, c in (("user", "Hi"), ("assistant", "Hello"), ("assistant", "What?"))
    )
    chosen, rejected = nano.render(Example(1, "preference", (user,), (good,), (bad,)))
    assert [learned(chosen), learned(rejected)] == [["Hello<|im_end|>"], ["What?<|im_end|>"]]
    (text,) = nano.render(Example(1, "text", text="The key is under the mat."))
    assert text.ids[-1] == nano.tokenizer.eos_id
    assert all(text.learned)


def test_what_is_longer_than_the_context_is_said_and_not_cut(tmp_path: Path, nano: Preflight) -> None:
    rows = [{"prompt": f"Say it {count} times", "completion": "word " * count} for count in (5, 300)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    report = check_data(path, preflight=nano, max_len=64)
    (finding,) = report.findings
    assert (finding.code, finding.lines, finding.severity) == ("too_long", [2], "error")
    assert report.tokens.most > 300
    assert report.samples[0].pieces[-2].learned
    assert check_data(path, preflight=nano).ok
