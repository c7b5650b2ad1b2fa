"""Formats that are containers of parts: slides, books and mail."""
