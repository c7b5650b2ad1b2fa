"""Agents: a model that uses tools until a task is done, with a person's approval for what it changes.

The seam for tools is ``zhilu.tools``; ``sources/`` holds the kinds that come with the product.
"""
