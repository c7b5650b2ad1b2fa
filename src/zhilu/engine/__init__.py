"""The embedded engine: paged attention, continuous batching and an OpenAI server, written to be read.

Start with ``engine.py``: ``step()`` is the whole story. ``scheduler.py`` decides who runs, ``blocks.py`` where keys and
values live, ``runner/`` does the arithmetic, ``sampler.py`` picks tokens, ``server.py`` speaks HTTP in its own process
(``python -m zhilu.engine.server --help``). Only ``runner/torch.py`` imports torch;
``runner/openvino.py``, the faster one on a CPU, does not.
"""
