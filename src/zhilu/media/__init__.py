"""Speech and pictures (stage 5.5).

File map: ``hear/`` speech to text · ``speak/`` text to speech · ``look`` a question about a picture · ``worker/`` the processes
that hear and speak, apart from the gateway · ``found`` speech models of the store · ``gates``, ``cli``, ``routes``.
"""
