"""Texts longer than a model can read at once. Roadmap 5.4.

File map: ``room`` how much fits, and whether a server cut a prompt · ``pieces`` where a text is cut · ``methods/`` ways to answer,
one file each · ``asking`` drives them and keeps every call · ``summary`` with the place of each sentence · ``needle`` a sentence
hidden in a text made on the spot · ``runs`` files · ``job`` the work.
"""
