"""A knowledge base as one file that others can add: originals, what was read from them, and the vectors.

Questions, answers, scoreboards, sources, keys and earlier versions of documents are not in it.
"""
