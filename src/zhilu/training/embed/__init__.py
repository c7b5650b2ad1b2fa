"""The recipe of zhilu-embed, the embedder that ships inside the package.

``data`` reading, splitting, cutting into units · ``batches`` pairs of a question and its passage · ``model`` what is learned ·
``train`` the loop · ``export`` int8 weights · ``evaluate`` the scores beside BM25. LOG.md says what was tried. The embedder that
uses these weights is ``zhilu.models.embedders.static``; it needs no torch.

    python -m zhilu.training.embed.train --data DIR --out DIR
"""
