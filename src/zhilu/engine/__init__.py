"""The embedded engine: paged attention, continuous batching and an OpenAI server, written to be read.

Start with ``engine.py``: ``step()`` is the whole story. ``scheduler.py`` decides what is computed, ``blocks.py`` where keys and
values are kept, ``runner/`` does the arithmetic, ``choose/`` picks tokens, and ``server/`` speaks HTTP in a process of its own
(``python -m zhilu.engine.server --help``). Only ``runner/torch.py`` imports torch; ``runner/openvino.py``, the faster one on a
CPU, does not.
"""
