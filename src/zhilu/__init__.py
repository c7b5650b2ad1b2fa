"""Zhilu 指路: the LLM learning roadmap made executable, every stage proven by a gate."""

__version__ = "0.1.0"
