"""Answers from the web, for what the documents do not hold: search, fetch under guard, read, and answer with sources.

``providers`` search, ``fetch`` reads an address without letting it reach into this network, ``pages`` keeps what was read,
``ask`` answers from it with the pipeline that answers from documents.

Importing this package imports none of its parts.
"""
