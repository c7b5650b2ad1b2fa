"""Applications. Each is a folder that can be deleted, together with its entry points in ``pyproject.toml``."""
