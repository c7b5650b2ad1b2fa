"""One proof a lesson: it drives the lesson's functions, compares them with a library, measures, and draws.

A proof is a function ``prove(part, say)``. ``part`` is the lesson's module, or the learner's own copy of it.
"""
