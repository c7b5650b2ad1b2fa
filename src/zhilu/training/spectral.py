"""Initial embeddings from the company words keep: the leading eigenvectors of the corpus' PPMI matrix (Levy & Goldberg 2014).

Which words are alike can be counted before any gradient is computed. Counting takes a minute; learning it would take most of a
small run.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

__all__ = ["spectral_embedding"]


def spectral_embedding(
    tokens: Iterable[np.ndarray], vocab_size: int, dim: int, window: int = 4, seed: int = 7
) -> Tensor:
    """Rows ``(vocab_size, dim)`` of about unit length; tokens never seen get random ones.

    ``tokens`` are runs of ids. Counts fall off as 1/distance within ``window``; PPMI is smoothed by the power 0.75
    (section 3.2 there); rows are scaled by the fourth root of the spectrum, which keeps rare words apart.
    """
    counts = torch.zeros(vocab_size * vocab_size)
    for run in tokens:
        ids = torch.from_numpy(run.astype(np.int64))
        for distance in range(1, window + 1):
            if len(ids) > distance:
                places = ids[:-distance] * vocab_size + ids[distance:]
                counts.scatter_add_(0, places, torch.full((len(places),), 1.0 / distance))
    matrix = counts.view(vocab_size, vocab_size)
    matrix += matrix.T.clone()
    rows = matrix.sum(1)
    seen = rows > 0
    smooth = rows.pow(0.75)
    smooth /= smooth.sum()
    matrix /= rows.clamp(min=1e-9)[:, None]
    matrix /= smooth.clamp(min=1e-12)[None, :]
    matrix.clamp_(min=1.0).log_()
    torch.manual_seed(seed)
    left, sizes, _ = torch.svd_lowrank(matrix, q=dim, niter=2)
    found = left * sizes.pow(0.25)
    found -= found[seen].mean(0)
    found = torch.nn.functional.normalize(found, dim=1)
    strange = torch.nn.functional.normalize(torch.randn(vocab_size, dim), dim=1)
    return torch.where(seen[:, None], found, strange)
