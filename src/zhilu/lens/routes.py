"""``/zhilu/v1/lens``: what each tab shows, and the predictions that the gates of stage 1 look at."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import ConfigDict

from zhilu.context import context_of
from zhilu.lens.attempts import keep
from zhilu.lens.prompt import PromptIn
from zhilu.lens.subject import find_subject
from zhilu.lens.views import (
    architecture,
    attention,
    languages,
    logits,
    positions,
    scored,
    step,
    stretch,
    templates,
    tokens,
    tree,
)
from zhilu.models.chosen import named_model

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/lens", tags=["lens"])


class CutsIn(PromptIn):
    """A prediction: the places where tokens begin, and how many there are (None: as the cuts say)."""

    model_config = ConfigDict(extra="forbid")
    cuts: list[int]
    count: int | None = None


@router.post("/tokens")
def see_tokens(body: PromptIn, request: Request) -> tokens.TokensOut:
    return tokens.look(find_subject(context_of(request), body.model), body.text)


@router.post("/tokens/predict")
def predict_tokens(body: CutsIn, request: Request) -> tokens.Guess:
    context = context_of(request)
    subject = find_subject(context, body.model)
    judged = tokens.judge(tokens.look(subject, body.text), body.cuts, body.count)
    keep(context, "1.1", {**body.model_dump(), "model": subject.name}, once=("text", "model"))
    return judged


@router.get("/languages")
def see_languages(request: Request, model: str | None = None) -> languages.LanguagesOut:
    return languages.languages(find_subject(context_of(request), model))


@router.post("/attention")
def see_attention(body: attention.AttentionIn, request: Request) -> attention.AttentionOut:
    return attention.look(find_subject(context_of(request), body.model), body)


@router.post("/heads")
def see_heads(body: PromptIn, request: Request) -> attention.HeadsOut:
    return attention.heads(find_subject(context_of(request), body.model), body)


@router.post("/attention/predict")
def predict_attention(body: attention.LookIn, request: Request) -> attention.LookOut:
    context = context_of(request)
    subject = find_subject(context, body.model)
    judged = attention.looked_at(subject, body)
    keep(context, "1.2", {**body.model_dump(), "model": subject.name})
    return judged


@router.post("/positions")
def see_positions(body: positions.OrderIn, request: Request) -> positions.OrderOut:
    return positions.compare(find_subject(context_of(request), body.model), body)


@router.post("/positions/predict")
def predict_positions(body: positions.OrderGuess, request: Request) -> positions.OrderTruth:
    context = context_of(request)
    subject = find_subject(context, body.model)
    judged = positions.judge(subject, body)
    question = ("text", "model", "query", "key", "to", "head")
    keep(context, "1.3", {**body.model_dump(), "model": subject.name}, once=question)
    return judged


@router.post("/stretch")
def see_stretch(body: PromptIn, request: Request) -> stretch.StretchOut:
    return stretch.stretch(find_subject(context_of(request), body.model), body)


@router.get("/architecture")
def see_architecture(request: Request, model: str | None = None) -> architecture.ArchitectureOut:
    return architecture.look(find_subject(context_of(request), model))


@router.get("/weights")
def see_weights(request: Request, name: str, model: str | None = None) -> architecture.Histogram:
    return architecture.histogram(find_subject(context_of(request), model), name)


@router.post("/architecture/predict")
def predict_shares(body: architecture.ShareGuess, request: Request) -> architecture.ShareTruth:
    context = context_of(request)
    subject = find_subject(context, body.model)
    judged = architecture.judge(subject, body)
    keep(context, "1.4", {**body.model_dump(), "model": subject.name})
    return judged


@router.post("/logits")
def see_logits(body: logits.LogitsIn, request: Request) -> logits.LogitsOut:
    return logits.look(find_subject(context_of(request), body.model), body)


@router.post("/tree")
def see_tree(body: tree.TreeIn, request: Request) -> tree.TreeOut:
    return tree.grow(find_subject(context_of(request), body.model), body)


@router.post("/step")
def take_step(body: step.StepIn, request: Request) -> step.StepOut:
    return step.take(find_subject(context_of(request), body.model), body)


@router.post("/step/predict")
def predict_step(body: step.StepGuess, request: Request) -> step.StepTruth:
    context = context_of(request)
    subject = find_subject(context, body.model)
    judged = step.judge(subject, body)
    keep(context, "1.5", {**body.model_dump(), "model": subject.name})
    return judged


@router.post("/chat")
def see_chat(body: templates.ChatIn, request: Request) -> templates.ChatOut:
    context = context_of(request)
    other = find_subject(context, body.other) if body.other else None
    return templates.render(find_subject(context, body.model), body, other)


@router.post("/prompt")
async def score_prompt(body: scored.PromptGuess, request: Request) -> scored.ScoreOut:
    context = context_of(request)
    model = named_model(context, body.model)
    measured = await scored.measure(context, model, body.prompt)
    keep(context, "1.6", {"prompt": body.prompt, "model": model})
    return measured
