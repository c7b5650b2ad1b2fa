"""Stage 4: ask your own documents. Load, split, embed, store, retrieve, answer with citations, measure.

``load/`` files to text · ``index/`` text to chunks, words and vectors, published by the job ``ingest`` · ``stores/`` vectors ·
``retrieve/`` a question to passages · ``answer/`` passages to an answer with citations · ``kb`` one knowledge base ·
``library`` all of them · ``database`` the file of one · ``repair`` a damaged one · ``evaluate`` how good it is · ``testing``
what every vector store must pass.

Importing this package imports none of its parts, because a parser's limited process must start fast.
"""
