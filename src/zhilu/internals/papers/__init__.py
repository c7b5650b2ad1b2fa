"""Papers to read beside the code: what each claims, its equation, our line of it, and its figure measured small on this machine.

File map: ``paper`` what a paper is, and where a symbol stands now · ``attention`` and ``learning`` the papers · ``figures`` what measures.
"""
