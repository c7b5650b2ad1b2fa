"""zhilu-embed, the embedder that ships inside the package: weights, and the recipe that made them.

``data`` reading, splitting, cutting into units · ``batches`` pairs of a question and its passage · ``train`` the model and
the loop · ``export`` int8 weights · ``evaluate`` the scores beside BM25. LOG.md says what was tried. The embedder that runs
on these weights is ``zhilu.models.embedders.static``; it needs no torch.

    python -m zhilu.training.embed.train --data DIR --out DIR
"""
