"""Stage 4: ask your own documents. Load, split, embed, store, retrieve, answer with citations, measure.

Importing this package imports none of its parts; take what you need from ``zhilu.rag.library`` (knowledge bases),
``zhilu.rag.ingest`` (documents in), ``zhilu.rag.pipeline`` (answers out).
"""
