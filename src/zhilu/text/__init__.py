"""How text is cut, without any model: ``terms`` words for BM25 · ``sentences`` and a measure of tokens · ``bm25`` a small ranking."""
