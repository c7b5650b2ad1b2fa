"""The arithmetic: one file per way of computing a step. ``base.py`` is the interface."""
