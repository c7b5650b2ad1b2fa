"""A thinking model's thoughts are no part of a grounded answer: kept apart, never cited, and switched off where they can be."""

from __future__ import annotations

from pathlib import Path

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.rag.answer.manner import COPIES, manner_of
from zhilu.rag.answer.settle import Reply


def test_thoughts_are_kept_apart_and_their_certainty_is_not_the_answers() -> None:
    reply = Reply()
    for delta, logprob in (({"reasoning_content": "25 or 30?"}, -5.0), ({"content": "25 days"}, -0.1)):
        logprobs = {"content": [{"logprob": logprob}]}
        reply.take({"choices": [{"delta": delta, "finish_reason": None, "logprobs": logprobs}]})
    assert (reply.thought, reply.raw, reply.logprobs) == ("25 or 30?", "25 days", [-0.1])
    assert reply.thought_seconds is not None


def test_how_a_thinking_model_is_asked(own_home: Path) -> None:
    context = open_context()
    big = {"hidden_size": 64, "num_hidden_layers": 1}
    folder = make_tiny_model(context.home.models / "thinker", **big)
    (folder / "chat_template.jinja").write_text("{{ enable_thinking }}{% if add_generation_prompt %}{% endif %}")
    assert manner_of(context, "thinker")[0] is COPIES  # it is tiny, and says so
    manner, _ = manner_of(context, "somebody-elses")
    assert (manner.reads, manner.thinking) == (True, None)
