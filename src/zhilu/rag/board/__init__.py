"""The scoreboard: how well a knowledge base answers, measured on questions about its own documents.

``questions`` keeps the question set, ``make`` has the running model propose questions, ``setup`` says what may be varied,
``measure`` turns one question into figures, ``runs`` keeps them, ``job`` does the work, ``compare`` puts two runs side by side.

Importing this package imports none of its parts.
"""
