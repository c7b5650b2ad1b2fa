"""Parts of ``benchmarks/serve.py``: the load, the peers, and their file formats."""
