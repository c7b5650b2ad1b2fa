"""The engine as an HTTP server in a process of its own (``python -m zhilu.engine.server --help``)."""
