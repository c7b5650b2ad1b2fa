"""6.7.3 Multi-token prediction: one more small block that guesses the token after the next (DeepSeek-V3, 2412.19437, section 2.2).

Read from top to bottom. ``Ahead`` takes what the model knows at a token, and the token that comes next, and predicts the one after
that, with the model's own embedding and output matrix. In training it is a second question on the same text (``loss``); in use it is a
draft for speculative decoding that costs one block (``draft_and_verify``).

Shapes: hidden ``(batch, length, hidden)``; ids ``(batch, length)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zhilu.training.model import Block, Nano, RMSNorm

__all__ = ["Ahead", "draft_and_verify", "hidden_states", "loss"]


class Ahead(nn.Module):
    """One block of the same kind as the model's, behind a matrix that joins two vectors to one."""

    def __init__(self, model: Nano) -> None:
        super().__init__()
        config = model.config
        self.of_hidden = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.of_next = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.join = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.block = Block(config)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        nn.init.zeros_(self.block.self_attn.o_proj.weight)
        nn.init.zeros_(self.block.mlp.down_proj.weight)

    def forward(self, model: Nano, hidden: Tensor, following: Tensor) -> Tensor:
        """Logits ``(batch, n, vocabulary)`` of the token after the next.

        Args:
            hidden: what the model knew at tokens 0 … n-1, before its last norm.
            following: tokens 1 … n.
        """
        known = self.of_hidden(hidden)
        told = self.of_next(model.model.embed_tokens(following))  # the model's own embedding: nothing is learned twice
        x = self.join(torch.cat([known, told], dim=-1))
        length = x.shape[1]
        x = self.block(x, model.model.cos[:length], model.model.sin[:length])  # causal: it sees what stands before
        return model.logits(self.norm(x))


def hidden_states(model: Nano, ids: Tensor) -> Tensor:
    """What comes out of the last block, before the norm."""
    decoder = model.model
    x = decoder.embed_tokens(ids)
    cos, sin = decoder.cos[: ids.shape[1]], decoder.sin[: ids.shape[1]]
    for block in decoder.blocks:
        x = block(x, cos, sin)
    return x


def loss(model: Nano, ahead: Ahead, ids: Tensor, weight: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    """All of it, the part of the next token, and the part of the one after.

    At token i the model is asked for i + 1, and ``ahead``, told i + 1, for i + 2.
    """
    hidden = hidden_states(model, ids[:, :-1])
    first = model.logits(model.model.norm(hidden))
    of_next = F.cross_entropy(first.flatten(0, 1), ids[:, 1:].flatten())
    second = ahead(model, hidden[:, :-1], ids[:, 1:-1])
    of_second = F.cross_entropy(second.flatten(0, 1), ids[:, 2:].flatten())
    return of_next + weight * of_second, of_next, of_second


@torch.inference_mode()
def draft_and_verify(model: Nano, ahead: Ahead, ids: Sequence[int], count: int) -> tuple[list[int], int, int]:
    """The ``count`` likeliest next tokens, two a pass where the second guess is right.

    Returns:
        The tokens, the passes of the model that they took, and how many second guesses were right.
    """
    text, written = list(ids), list[int]()
    passes = right = 0
    guess: int | None = None
    while len(written) < count:
        tried = text if guess is None else [*text, guess]
        hidden = hidden_states(model, torch.tensor([tried]))
        said = model.logits(model.model.norm(hidden))[0].argmax(-1).tolist()
        passes += 1
        new = [said[len(text) - 1]]  # what the model itself writes behind the text
        if guess is not None and new[0] == guess:
            right += 1
            new.append(said[len(text)])  # the guess was right, so the place behind it is judged as well
        text += new
        written += new
        guess = int(ahead(model, hidden[:, : len(text) - 1], torch.tensor([text[1:]]))[0, -1].argmax())
    return written[:count], passes, right
