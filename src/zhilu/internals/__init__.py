"""Stage 6: the parts of a model rebuilt in readable lessons, each held against the industrial library, number by number.

File map: ``lessons/`` what one reads, copies and rewrites · ``proofs/`` what measures a lesson and says whether it is right ·
``catalog`` the lessons in order · ``result`` what a run gives · ``runs`` runs one in a process of its own.
"""
