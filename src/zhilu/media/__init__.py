"""Speech and pictures (stage 5.5).

File map: ``hear/`` speech to text · ``speak/`` text to speech · ``look/`` pictures for a model that cannot see · ``worker/`` the
processes that hear and speak, apart from the gateway · ``parts`` what a chat's sound and pictures become for a model that takes
only text · ``found`` speech models of the store · ``gates``, ``cli``, ``routes``.
"""
