"""Applications: each a folder that can be deleted in one go (with its entry points in ``pyproject.toml``)."""
