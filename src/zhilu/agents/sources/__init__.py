"""Kinds of tools that come with the product, one file each (entry points ``zhilu.tools``)."""
